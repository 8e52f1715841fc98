"""Application code around a model, in a running server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.serving import Served, infer_body, serving

CODE = """
import asyncio, time
from slipway.serving import HTTPError

class Records:
    takes = "records"
    threads = 4

    def __init__(self, context):
        self.name = context.metadata["name"]

    def preprocess(self, rows):
        if rows[0].get("refuse"):
            raise HTTPError(422, "a row that we do not like", headers=(("x-why", "a\\r\\nb"),))
        if rows[0].get("exit"):
            raise SystemExit(3)
        if rows[0].get("sleep"):
            time.sleep(rows[0]["sleep"])
        return [[row["n"], row["n"] * 2, 0] for row in rows]

    async def postprocess(self, rows):
        if rows[0]["S"] == 300:
            time.sleep(3)  # blocks its loop, as it must not
        await asyncio.sleep(0)
        return [{"sum": row["S"], "model": self.name} for row in rows]

class Arrays:
    async def preprocess(self, inputs):
        inputs["X"] += 1
        return inputs
"""


@pytest.fixture(scope="module")
def application(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("application")
    (folder / "app.py").write_text(CODE)
    with serving(folder, f"--model={models}/echo.onnx", f"--app={folder}", "--entrypoint=app:Records", "--timeout=20") as own:
        yield own


def test_what_goes_in_and_out_is_the_applications(application: Served) -> None:
    answer = application.post("/predict", {"records": [{"n": 1}, {"n": 5}]}).json()
    assert answer["predictions"] == [{"sum": 3.0, "model": "echo"}, {"sum": 15.0, "model": "echo"}]
    infer = application.post("/v2/models/echo/infer", infer_body([2], name="n", datatype="INT64")).json()
    assert {output["name"]: output["data"] for output in infer["outputs"]} == {"sum": [6.0], "model": ["echo"]}


def test_its_errors_are_answers(application: Served) -> None:
    own = application.post("/predict", {"records": [{"refuse": True}]}, headers={"x-request-id": "abc"})
    assert (own.status_code, own.json()["error"]) == (422, "a row that we do not like")
    assert own.headers["x-request-id"] == "abc"
    assert own.headers["x-why"] == "a  b", "no header can be smuggled in"
    for row in ({"n": "text"}, {}, {"exit": True}):
        failed = application.post("/predict", {"records": [row]}, headers={"x-request-id": "def"})
        assert failed.status_code == 500
        assert "request def" in failed.json()["error"]
        assert "Traceback" not in failed.text
    assert any(line.get("request_id") == "def" and "traceback" in line for line in application.lines())


@pytest.mark.parametrize("row", [{"n": 1, "sleep": 3}, {"n": 100}])
def test_its_slowness_is_its_own(application: Served, row: dict[str, float]) -> None:
    """While it sleeps, in a thread or wrongly on its loop, health answers many times."""
    thread = threading.Thread(target=lambda: application.post("/predict", {"records": [row]}))
    thread.start()
    answered = 0
    while thread.is_alive():
        assert application.get("/v2/health/ready").status_code == 200
        assert application.get("/metrics").status_code == 200
        answered += 1
        time.sleep(0.01)
    assert answered > 10


def test_arrays_may_be_changed_in_place(models: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CODE)
    with serving(tmp_path, f"--model={models}/echo.onnx", f"--app={tmp_path}", "--entrypoint=app:Arrays") as own:
        assert own.post("/v2/models/echo/infer", infer_body([[1, 2, 3]])).json()["outputs"][1]["data"] == [9.0]


def test_a_class_that_fails_ends_the_start(models: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "class Service:\n    def __init__(self): raise ValueError('no table')\n    def predict(self, x): ...\n"
    )
    with (
        pytest.raises(AssertionError, match="ValueError: no table"),
        serving(tmp_path, f"--model={models}/echo.onnx", f"--app={tmp_path}", "--entrypoint=app:Service"),
    ):
        pass
