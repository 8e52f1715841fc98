"""Online reads: ``python -m bench.features.online [--entities N] [--rate N] [--seconds N] [--redis URL]``.

Rows of one view are materialised, then entities are read one request at a time at a fixed rate, from a process that renews its copy
meanwhile from a materialisation of one row in a hundred. Prints one JSON object: the middle one of three rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.features.pace import ROUNDS, WARM, paced, quantiles
from slipway.features import FeatureStore
from slipway.features.online.connect import connect
from slipway.features.online.reading import OnlineView

FEATURES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--redis", default="", metavar="URL")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), asked.entities, asked.rate, asked.seconds, asked.redis)))


def measure(folder: Path, entities: int, rate: int, seconds: float, url: str) -> dict[str, Any]:
    """Milliseconds by quantile, and what materialising took."""
    features = FeatureStore.open(f"file://{folder}/registry")
    columns = [{"name": f"f{at}", "type": "float64"} for at in range(FEATURES)]
    features.apply({"name": "bench", "entities": [{"name": "user"}], "ttl": "30d", "features": columns})
    online = connect(url, features.registry.store, cache=folder / "cache", ttl=timedelta(days=30))
    features.ingest("bench", rows(np.arange(entities)))
    begun = time.perf_counter()
    features.materialize("bench", online=online)
    first = time.perf_counter() - begun
    view = features.online("bench", online=online)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds: list[dict[str, Any]] = []
    for _ in range(ROUNDS):
        features.ingest("bench", rows(np.arange(0, entities, 100)))
        begun = time.perf_counter()
        features.materialize("bench", online=online)
        increment = time.perf_counter() - begun
        waits, reads, refresh = ask(view, entities, rate, seconds)
        took = {"increment_seconds": round(increment, 2), "refresh_seconds": round(refresh, 2)}
        rounds.append({"ms": quantiles(waits), "read_ms": quantiles(reads)} | took)
    rounds.sort(key=lambda one: one["ms"]["p99"])
    return rounds[ROUNDS // 2] | {
        "store": online.shown.partition("://")[0],
        "entities": entities,
        "requests": int(rate * seconds),
        "rate": rate,
        "materialize_seconds": round(first, 2),
        "grown_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
    }


def rows(users: np.ndarray) -> pa.Table:
    happened = pa.array([datetime.now(UTC) - timedelta(seconds=1)] * len(users), pa.timestamp("us", "UTC"))
    values = np.random.default_rng(1).random((FEATURES, len(users)))
    return pa.table({"user": users, "event_time": happened, **{f"f{at}": values[at] for at in range(FEATURES)}})


def ask(view: OnlineView, entities: int, rate: int, seconds: float) -> tuple[list[float], list[float], float]:
    """Of each request, the seconds from when it was due, and those of the read alone; and those of a look for news meanwhile."""
    reads: list[float] = []
    took: list[float] = []

    def one(user: int) -> None:
        begun = time.perf_counter()
        row = view.get([{"user": user}])[0]
        assert row is not None and len(row[1]) == FEATURES
        reads.append(time.perf_counter() - begun)

    def renew() -> None:
        begun = time.perf_counter()
        view.reader.refresh()
        took.append(time.perf_counter() - begun)

    for user in range(WARM):
        one(user)
    reads.clear()
    renewing = threading.Timer(seconds / 2, renew)
    renewing.start()
    waits = paced(one, entities, rate, seconds)
    renewing.join()
    return waits, reads, took[0]


if __name__ == "__main__":
    main()
