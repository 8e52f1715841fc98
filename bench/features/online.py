"""Online reads: ``python -m bench.features.online [--entities N] [--rate N] [--seconds N] [--redis URL]``.

Rows of one view are materialised, then entities are read one request at a time at a fixed rate, from a process that renews its copy
meanwhile from a materialisation of one row in a hundred. Times are from when a request was due, so that a stall counts for all
requests that it holds up. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

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
    features.ingest("bench", rows(np.arange(0, entities, 100)))
    begun = time.perf_counter()
    features.materialize("bench", online=online)
    second = time.perf_counter() - begun
    took: list[float] = []

    def renew() -> None:
        begun = time.perf_counter()
        view.reader.refresh()
        took.append(time.perf_counter() - begun)

    renewing = threading.Timer(seconds / 2, renew)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    renewing.start()
    waits = asyncio.run(ask(view, entities, rate, seconds))
    renewing.join()
    return {
        "store": online.shown.partition("://")[0],
        "entities": entities,
        "requests": len(waits),
        "rate": rate,
        "ms": quantiles([due for due, _ in waits]),
        "read_ms": quantiles([read for _, read in waits]),
        "materialize_seconds": round(first, 2),
        "increment_seconds": round(second, 2),
        "refresh_seconds": round(took[0], 2),
        "grown_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
    }


def quantiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    found = {f"p{q}": round(float(np.percentile(seconds, q)) * 1000, 3) for q in (50, 95, 99, 99.9)}
    return found | {"max": round(max(seconds) * 1000, 3)}


def rows(users: np.ndarray) -> pa.Table:
    happened = pa.array([datetime.now(UTC) - timedelta(seconds=1)] * len(users), pa.timestamp("us", "UTC"))
    values = np.random.default_rng(1).random((FEATURES, len(users)))
    return pa.table({"user": users, "event_time": happened, **{f"f{at}": values[at] for at in range(FEATURES)}})


async def ask(view: OnlineView, entities: int, rate: int, seconds: float) -> list[tuple[float, float]]:
    """Of each request, the seconds from when it was due, and those of the read alone."""
    waits: list[tuple[float, float]] = []
    draw = random.Random(7)
    start = time.perf_counter() + 0.1
    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        begun = time.perf_counter()
        row = (await view.aget([{"user": draw.randrange(entities)}]))[0]
        assert row is not None and len(row[1]) == FEATURES
        waits.append((time.perf_counter() - due, time.perf_counter() - begun))
    return waits


if __name__ == "__main__":
    main()
