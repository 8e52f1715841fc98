"""Application code around a model, in a running server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.serving import Served, infer_body, serving, wait_for

CODE = """
import asyncio, pathlib, time
from slipway.serving import HTTPError

def held(file):
    while not pathlib.Path(file).exists():
        time.sleep(0.01)

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
        if rows[0].get("until"):
            held(rows[0]["until"])
        return [[row["n"], row["n"] * 2, 0] for row in rows]

    async def postprocess(self, rows):
        if rows[0]["S"] == 300:
            held("release")  # blocks its loop, as it must not
        await asyncio.sleep(0)
        return [{"sum": row["S"], "model": self.name} for row in rows]

class Odd:
    takes = "records"
    threads = 4

    def predict(self, rows):
        n = len(rows)
        return {
            "few": rows[1:], "many": rows + rows, "none": None, "text": "yes", "number": 1.5, "set": [{1, 2}] * n, "complex": [1j] * n,
            "short": {"y": [1.0]}, "uneven": {"y": [1.0] * n, "z": [1.0] * (n + 1)}, "ragged": {"y": [[1, 2], [3]]}, "null": {"y": None},
            "mixed": {"y": [1, "a"] * n}, "names": [{"a": 1}] * (n - 1) + [{"b": 1}], "right": [{"y": row["x"]} for row in rows],
        }[rows[0]["give"]]

class Arrays:
    async def preprocess(self, inputs):
        inputs["X"] += 1
        return inputs
"""


@pytest.fixture(scope="module")
def application(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("application")
    (folder / "app.py").write_text(CODE)
    with serving(folder, f"--model={models}/echo.onnx", f"--app={folder}", "--entrypoint=app:Records") as own:
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


@pytest.mark.parametrize("row", [{"n": 1, "until": "release"}, {"n": 100}])
def test_its_slowness_is_its_own(application: Served, row: dict[str, float]) -> None:
    """While it waits, in a thread or wrongly on its loop, health and metrics answer."""
    release = application.log.parent / "release"
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(application.post("/predict", {"records": [row]}).status_code))
    thread.start()
    wait_for(lambda: application.metric("slipway_requests_in_flight") > 1)
    for _ in range(10):
        assert application.get("/v2/health/ready").status_code == 200
        assert application.get("/metrics").status_code == 200
    assert answers == [], "it waits all the while"
    release.touch()
    thread.join()
    release.unlink()
    assert answers == [200]


def test_arrays_may_be_changed_in_place(models: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(CODE)
    with serving(tmp_path, f"--model={models}/echo.onnx", f"--app={tmp_path}", "--entrypoint=app:Arrays") as own:
        assert own.post("/v2/models/echo/infer", infer_body([[1, 2, 3]])).json()["outputs"][1]["data"] == [9.0]


ODD = {
    "few": "app:Odd.predict gave 1 rows for the 2 that were given",
    "many": "app:Odd.predict gave 4 rows for the 2 that were given",
    "none": "app:Odd.predict gave a NoneType",
    "text": "app:Odd.predict gave a str",
    "number": "app:Odd.predict gave a float",
    "set": "app:Odd.predict gave what is no JSON",
    "complex": "app:Odd.predict gave what is no JSON",
    "short": "app:Odd.predict: output 'y' has 1 rows for the 2 that were given",
    "uneven": "app:Odd.predict: output 'z' has 3 rows for the 2 that were given",
    "ragged": "output 'y' is no tensor",
    "null": "app:Odd.predict gave None for output 'y'",
    "mixed": "app:Odd.predict: output 'y' has 4 rows",
}


def test_what_is_no_answer_is_told_and_harms_nobody(models: Path, tmp_path: Path) -> None:
    """Whatever a predict gives, the client gets one row for each, or a 500 that says what came instead; also by v2."""
    (tmp_path / "app.py").write_text(CODE)
    with serving(tmp_path, f"--model={models}/echo.onnx", f"--app={tmp_path}", "--entrypoint=app:Odd") as own:
        for give, words in ODD.items():
            rows = [{"give": give, "x": 1}, {"give": give, "x": 2}]
            for path, body in (("/predict", {"records": rows}), ("/v1/models/echo:predict", {"instances": rows})):
                answer = own.post(path, body)
                assert answer.status_code == 500, (give, answer.text)
                assert words in answer.json()["error"], give
            assert own.post("/predict", {"records": [{"give": "right", "x": 5}]}).json()["predictions"] == [{"y": 5}]
        for give in ("few", "none", "ragged", "null", "set", "complex", "names"):
            text = {"name": "give", "shape": [2], "datatype": "BYTES", "data": [give, give]}
            answer = own.post("/v2/models/echo/infer", {"inputs": [text, infer_body([1.0, 2.0], name="x")["inputs"][0]]})
            assert answer.status_code == 500, (give, answer.text)
            assert answer.json()["error"].startswith("app:Odd"), give
        assert own.get("/v2/health/ready").status_code == 200


def test_a_class_that_fails_ends_the_start(models: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "class Service:\n    def __init__(self): raise ValueError('no table')\n    def predict(self, x): ...\n"
    )
    with (
        pytest.raises(AssertionError, match="ValueError: no table"),
        serving(tmp_path, f"--model={models}/echo.onnx", f"--app={tmp_path}", "--entrypoint=app:Service"),
    ):
        pass
