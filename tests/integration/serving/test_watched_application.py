"""Application code with a `predict` of its own is watched as any model is: drift, payload log, feedback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.dataset as ds
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from slipway.training.inputs import Inputs
from slipway.training.params import Params
from slipway.training.run import Run
from tests.fakes.serving import Served, infer_body, serving, wait_for

X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
ROWS = [{**row, "patient": f"p{at}"} for at, row in enumerate(X.to_dict("records"))]

CODE = """
import numpy as np

class Asks:
    '''Decides by the model, which it asks itself.'''
    takes = "records"

    def __init__(self, context):
        self.model = context.model

    async def preprocess(self, rows):
        return rows

    def predict(self, rows):
        patients = [row.pop("patient") for row in rows]  # what it does with its rows is its own affair
        matrix = np.array([list(row.values()) for row in rows], dtype=np.float32)
        found = self.model.predict({"input": matrix})
        matrix[:] = 0
        return [{"verdict": "benign" if label else "malignant", "patient": p} for label, p in zip(found["label"], patients)]

class Rule:
    '''Has no use for the model.'''
    takes = "records"

    def predict(self, rows):
        return [{"label": int(row["mean radius"] < 15)} for row in rows]

class Odd:
    '''Takes and gives nothing that training knew.'''

    def predict(self, inputs):
        return {"words": np.char.add(inputs["text"].astype(str), "!"), "total": np.float32(len(inputs["text"]))}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(params=Params({}), inputs=Inputs({}), output=tmp_path_factory.mktemp("output"))
    return run.save_model(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), X=X).path.parent


@pytest.fixture
def start(trained: Path, tmp_path: Path) -> Iterator[Any]:
    (tmp_path / "app.py").write_text(CODE)

    def started(name: str) -> Any:
        words = (f"--model={trained}", "--name=m", f"--app={tmp_path}", f"--entrypoint=app:{name}", "--payload-seconds=0.2")
        return serving(tmp_path, *words, f"--payload-log=file://{tmp_path}/log")

    yield started


def ask(served: Served, rows: list[dict[str, Any]]) -> httpx.Response:
    answer = served.post("/predict", {"records": rows})
    assert answer.status_code == 200, answer.text
    return answer


def window(served: Served) -> dict[str, Any]:
    return served.get("/v2/models/m/drift").json()["windows"]["5m"]  # type: ignore[no-any-return]


def logged(served: Served, folder: Path, kind: str, rows: int) -> Any:
    wait_for(lambda: f'slipway_log_stored_rows_total{{log="{kind}",model="m",version="local"}} {rows}.0' in _metrics(served))
    return ds.dataset(folder / "log" / kind.replace("payload", "payloads") / "m" / "local", format="parquet").to_table()


def _metrics(served: Served) -> str:
    return served.get("/metrics").text


def test_where_it_asks_the_model_the_models_drift_is_told(start: Any, tmp_path: Path) -> None:
    with start("Asks") as own:
        first = ask(own, ROWS[:300])
        ask(own, ROWS[300:])
        same = window(own)
        assert same["rows"] > 300, "a sample of them"
        assert same["psiMax"] < 0.1
        assert same["outputs"][0]["psi"] < 0.1
        ask(own, [{**row, "mean radius": row["mean radius"] * 1.4} for row in ROWS])
        drifted = window(own)
        assert (drifted["inputs"][0]["name"], drifted["inputs"][0]["psi"] > 0.2) == ("mean radius", True)
        assert 'slipway_predictions_total{class="1",model="m",version="local"}' in _metrics(own)
        # what was answered is what is logged, and what truth is told about
        truth = ["benign" if label else "malignant" for label in Y[:64]]
        few = ask(own, ROWS[:64])
        right = sum(row["verdict"] == told for row, told in zip(few.json()["predictions"], truth, strict=True))
        told = own.post("/feedback", {"id": few.headers["x-request-id"], "truth": truth}).json()
        assert told == {"accepted": 64, "joined": 64}
        assert f'slipway_feedback_total{{model="m",outcome="right",version="local"}} {right}.0' in _metrics(own)
        table = logged(own, tmp_path, "payload", 2 * len(ROWS) + 64).sort_by("time")
    ours = table.filter(ds.field("request_id") == first.headers["x-request-id"])
    assert ours["row"].to_pylist() == list(range(300))
    assert ours["input.mean radius"].to_pylist() == pytest.approx(X["mean radius"][:300].tolist())
    assert ours["input.patient"].to_pylist() == ours["output.patient"].to_pylist() == [f"p{at}" for at in range(300)]
    assert ours["output.verdict"].to_pylist() == [row["verdict"] for row in first.json()["predictions"]]


def test_where_it_decides_alone_what_it_takes_and_gives_is_held_against_training(start: Any, tmp_path: Path) -> None:
    with start("Rule") as own:
        ask(own, ROWS)
        assert window(own)["psiMax"] < 0.1
        ask(own, [{**row, "mean texture": None} for row in ROWS])
        texture = next(one for one in window(own)["inputs"] if one["name"] == "mean texture")
        assert 0.3 < texture["missing"] < 0.7
        small = int((X["mean radius"] < 15).sum())
        assert f'slipway_predictions_total{{class="1",model="m",version="local"}} {2 * small}.0' in _metrics(own)
        why = own.get("/v2/models/m/drift").json()["notCompared"]
        assert why == {"outputs": "label are there, the model has probabilities"}


def test_what_is_like_nothing_of_training_is_said_and_logged(start: Any, tmp_path: Path) -> None:
    with start("Odd") as own:
        answer = own.post("/v2/models/m/infer", infer_body(["a", "b"], name="text", datatype="BYTES"))
        assert answer.json()["outputs"][0]["data"] == ["a!", "b!"]
        own.post("/v2/models/m/infer", {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["c"]}]})
        assert window(own)["rows"] == 0
        assert set(own.get("/v2/models/m/drift").json()["notCompared"]) == {"inputs", "outputs"}
        assert sum("are not compared with training's" in line["event"] for line in own.lines()) == 2, "once each"
        table = logged(own, tmp_path, "payload", 3)
    assert table["input.text"].to_pylist() == ["a", "b", "c"]
    assert table["output.words"].to_pylist() == ["a!", "b!", "c!"]
    assert table["output.total"].to_pylist() == [2.0, 2.0, 1.0]
