"""What watching costs: CPU time for each row that one core answers, ``python -m bench.serving.monitoring [--write]``.

Measured as CPU time of the observers alone, on batches as a busy server makes them (16 requests of one row of 30 features),
against the CPU time of a whole request of the fastest model, which is the server's throughput on one core. The part is what
the observers take of it. `CLAIM` is the bound that the design sets.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from slipway.registry import records
from slipway.serving.monitoring.feedback import Feedback
from slipway.serving.monitoring.monitor import Monitor
from slipway.serving.monitoring.observer import Observation
from slipway.serving.monitoring.payload import PayloadLog, table_of
from slipway.serving.monitoring.sink import Sink
from slipway.serving.signature import Signature, Tensor
from slipway.storage.files import FileStore
from slipway.training.reference import build_reference

CLAIM = 0.05
REQUEST_SECONDS = 1 / 12_000
"""CPU time of one request of a linear model on one core: the measured throughput of the server at 16 connections."""
RESULTS = Path(__file__).parents[1] / "results" / "monitoring.json"
FEATURES, BATCH, ROUNDS = 30, 16, 4000


def signature() -> Signature:
    outputs = (Tensor("label", "INT64", (-1,)), Tensor("probabilities", "FP32", (-1, 2)))
    return Signature((Tensor("input", "FP32", (-1, FEATURES)),), outputs)


def batches() -> list[list[Observation]]:
    """Batches of single rows with their answers."""
    rng = np.random.default_rng(0)
    made: list[list[Observation]] = []
    for batch in range(64):
        X = rng.normal(size=(BATCH, FEATURES)).astype(np.float32)
        p = rng.random((BATCH, 2)).astype(np.float32)
        label = (p[:, 0] > 0.5).astype(np.int64)
        made.append([(f"{batch}-{i}", [X[i : i + 1]], [label[i : i + 1], p[i : i + 1]]) for i in range(BATCH)])
    return made


def monitor() -> Monitor:
    """With a reference of 5,000 rows, on a clock by which a batch comes as often as it does at full load."""
    steps = count(0.0, BATCH * REQUEST_SECONDS)
    rng = np.random.default_rng(1)
    own = signature()
    spec = records.Signature(
        inputs=tuple(records.TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape) for t in own.inputs),
        outputs=tuple(records.TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape) for t in own.outputs),
    )
    outputs = {"label": rng.integers(0, 2, 5000), "probabilities": rng.random((5000, 2))}
    reference = build_reference(spec, {"input": rng.normal(size=(5000, FEATURES))}, outputs, frozenset({"label"}))
    return Monitor(own, reference, clock=lambda: next(steps))


def seconds_per_row(observe: Callable[[list[Observation]], None], *, whole: bool) -> float:
    """CPU seconds of this thread, or of the whole process."""
    clock = time.process_time if whole else time.thread_time
    given = batches()
    for batch in given:
        observe(batch)
    started = clock()
    for turn in range(ROUNDS):
        observe(given[turn % len(given)])
    return (clock() - started) / (ROUNDS * BATCH)


def measure() -> dict[str, Any]:
    """Microseconds for each row by what is watched, and the part of a request's time that all of it takes."""
    drift, feedback = monitor(), Feedback(signature())
    with tempfile.TemporaryDirectory() as folder:
        sink = Sink("p", table_of(signature()), FileStore(Path(folder)).put)
        log = PayloadLog(sink, 0.1)
        found = {
            "drift": seconds_per_row(drift.observe, whole=False),
            "feedback": seconds_per_row(feedback.observe, whole=False),
            "payload log, a tenth of the requests": seconds_per_row(log.observe, whole=True),
        }
        sink.close()
    return {
        "machine": f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}",
        "microsecondsPerRow": {name: round(seconds * 1e6, 2) for name, seconds in found.items()},
        "rowsCounted": round(drift.observed / (drift.observed + drift.unobserved), 3),
        "partOfRequest": round(sum(found.values()) / REQUEST_SECONDS, 4),
        "claim": CLAIM,
    }


def main() -> int:
    """Prints, and fails when the claim does not hold."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving.monitoring")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {RESULTS.name}")
    words = parser.parse_args()
    result = measure()
    print(json.dumps(result, indent=1))
    if words.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(result["partOfRequest"] > CLAIM)


if __name__ == "__main__":
    sys.exit(main())
