"""More than the model can do, and longer than a client waits: told at once, and over when it is over."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import httpx
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

from slipway.training.skops_file import write
from tests.fakes.serving import DEADLINE, Served, echo_model, infer_body, serving, wait_for


def _model_process(served: Served) -> int:
    """The process in which a skops model runs."""
    pid = served.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return found


def test_a_full_queue_is_answered_429_with_a_time_to_come_back(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    write(KNeighborsClassifier().fit(X, y), tmp_path / "knn.skops")
    answers: list[httpx.Response] = []
    with serving(tmp_path, f"--model={tmp_path}/knn.skops", "--max-queue=2", "--timeout=300") as own:

        def ask() -> None:
            answers.append(own.post("/predict", {"records": X[:1].tolist()}))

        os.kill(_model_process(own), signal.SIGSTOP)
        threads = []
        for waiting in (0, 1, 2):
            threads.append(threading.Thread(target=ask))
            threads[-1].start()
            wait_for(lambda more=waiting: own.metric("slipway_requests_in_flight") == more + 2)  # with the one for metrics
            wait_for(lambda more=waiting: own.metric("slipway_requests_waiting") == more)
        refused = own.post("/predict", {"records": X[:1].tolist()})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["error"] == "2 requests are waiting already: try again"
        assert own.get("/v2/health/ready").status_code == 200
        os.kill(_model_process(own), signal.SIGCONT)
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert own.post("/predict", {"records": X[:1].tolist()}).json()["predictions"][0]["label"] == 0


def test_an_answer_that_takes_too_long_is_answered_504_and_the_next_one_is_not(tmp_path: Path) -> None:
    model = echo_model(tmp_path / "echo.onnx")
    (tmp_path / "app.py").write_text(
        "import pathlib, time\n"
        "class Service:\n"
        "    def preprocess(self, inputs):\n"
        "        while not pathlib.Path('release').exists():\n"
        "            time.sleep(0.01)\n"
        "        return inputs\n"
    )
    words = (f"--model={model}", f"--app={tmp_path}", "--entrypoint=app:Service", "--timeout=1")
    with serving(tmp_path, *words) as own:
        late = own.post("/v2/models/echo/infer", infer_body([[1, 2, 3]]))
        assert late.status_code == 504
        assert late.json()["error"] == "no answer from the model within 1 s"
        (tmp_path / "release").touch()

        def answered() -> bool:
            got = httpx.post(f"{own.url}/v2/models/echo/infer", json=infer_body([[1, 2, 3]]), timeout=DEADLINE)
            return got.status_code == 200 and got.json()["outputs"][1]["data"] == [6.0]

        wait_for(answered)
