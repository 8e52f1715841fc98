"""A model server as a process of its own, and small models to put into it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper

SOURCE = Path(__file__).parents[2] / "operator"
DEADLINE = 60.0
"""Seconds that any fact may take to come true on a slow machine."""


class Served:
    """A running `slipway.serving`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.url = ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def address(self) -> str:
        """``host:port``, as Triton's client wants it."""
        return self.url.rpartition("/")[2]

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        found = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                found.append(json.loads(line))
        return found

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, timeout=DEADLINE, **more)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=DEADLINE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it; gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def metric(self, name: str) -> float:
        """A metric that has no labels, or the first of its name."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith((f"{name} ", f"{name}{{")):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"no metric {name}")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "slipway.serving", *words]


def environment(**more: str) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    return kept | {"PYTHONPATH": str(SOURCE)} | more


@contextmanager
def serving(folder: Path, *words: str, ready: bool = True, before: Sequence[str] = (), **more: str) -> Iterator[Served]:
    """Starts a server on a free port, and waits until it is ready, or only listens. `before`: a command that becomes it."""
    log = folder / f"serving-{time.monotonic_ns()}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*before, *command("--port=0", "--drain=0", *words)], stderr=file, stdout=file, env=environment(**more), cwd=folder
        )
    served = Served(process, log)
    try:
        wait_for(lambda: _listening(served), lambda: log.read_text())
        if ready:
            wait_for(lambda: any(line["event"] == "ready" for line in served.lines()) or _ended(served), lambda: log.read_text())
        yield served
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _listening(served: Served) -> bool:
    _ended(served)
    for line in served.lines():
        if line["event"] == "listening" and line["url"].startswith("http"):
            served.url = line["url"]
    return bool(served.url)


def _ended(served: Served) -> bool:
    if served.process.poll() is not None:
        raise AssertionError(f"the server ended with {served.process.returncode}:\n{served.log.read_text()}")
    return False


def wait_for(fact: Any, why: Any = lambda: "") -> None:
    """Polls until `fact()` is true. Raises AssertionError when it does not come true in time."""
    end = time.monotonic() + DEADLINE
    while not fact():
        if time.monotonic() > end:
            raise AssertionError(f"did not come true within {DEADLINE:g} s: {why()}")
        time.sleep(0.02)


def echo_model(path: Path, width: int = 3, *, factor: float = 1.0) -> Path:
    """X [-1, width] to Y = factor * X and S = the sum of each row: answers tell whose they are."""
    X = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", width])
    Y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["rows", width])
    S = helper.make_tensor_value_info("S", TensorProto.FLOAT, ["rows"])
    k = helper.make_tensor("k", TensorProto.FLOAT, [1], [factor])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("Mul", ["X", "k"], ["Y"]),
        helper.make_node("ReduceSum", ["Y", "axes"], ["S"], keepdims=0),
    ]
    return _save(path, nodes, [X], [Y, S], [k, axes])


def text_model(path: Path) -> Path:
    """T [-1] of strings to the same strings, and N [-1] of whole numbers to N + 1."""
    strings = [helper.make_tensor_value_info(name, TensorProto.STRING, ["rows"]) for name in ("T", "U")]
    numbers = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows"]) for name in ("N", "M")]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    nodes = [helper.make_node("Identity", ["T"], ["U"]), helper.make_node("Add", ["N", "one"], ["M"])]
    return _save(path, nodes, [strings[0], numbers[0]], [strings[1], numbers[1]], [one])


def slow_model(path: Path, width: int = 700, rounds: int = 12) -> Path:
    """X [-1, width] through `rounds` matrix products: some 10 ms a run."""
    X = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", width])
    Y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["rows", width])
    weights = np.eye(width, dtype=np.float32)
    W = helper.make_tensor("W", TensorProto.FLOAT, [width, width], weights.tobytes(), raw=True)
    nodes = []
    for at in range(rounds):
        start = "X" if at == 0 else f"h{at}"
        nodes.append(helper.make_node("MatMul", [start, "W"], [f"h{at + 1}" if at < rounds - 1 else "Y"]))
    return _save(path, nodes, [X], [Y], [W])


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any]) -> Path:
    graph = helper.make_graph(nodes, "test", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def infer_body(rows: Any, name: str = "X", datatype: str = "FP32") -> dict[str, Any]:
    """A v2 request with one input."""
    array = np.asarray(rows)
    return {"inputs": [{"name": name, "shape": list(array.shape), "datatype": datatype, "data": array.ravel().tolist()}]}


def unique_model(path: Path) -> Path:
    """X [-1, 2] to Y, its different values: as many rows as it likes, whatever its signature says."""
    X = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", 2])
    Y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["rows"])
    return _save(path, [helper.make_node("Unique", ["X"], ["Y"])], [X], [Y], [])
