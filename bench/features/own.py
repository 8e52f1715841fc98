"""What Slipway and pyarrow do, each call in a process of its own, so that its memory can be told:
``python -m bench.features.own WHAT FOLDER``; prints JSON."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pyarrow.parquet as pq

from bench.features.cases import CASES, case_entities, case_history
from bench.features.data import TTL_DAYS, VIEWS, feature_names
from slipway.features import EntityKey, Feature, FeatureStore, FeatureView
from slipway.features.batches import stamp
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore


def store(folder: Path, name: str = "registry") -> FeatureStore:
    """A registry in a folder, as Feast's is."""
    return FeatureStore(Registry(FileStore(folder / name)))


def view(name: str, columns: list[str]) -> FeatureView:
    """The same view as Feast's."""
    return FeatureView(
        name=name,
        entities=(EntityKey(name="user"),),
        event_time="event_timestamp",
        created_time="created",
        ttl=f"{TTL_DAYS}d",
        features=tuple(Feature(name=column) for column in columns),
    )


def fill(folder: Path) -> dict[str, Any]:
    """The ten views' files into their tables, ten batches each: days of data come one after the other."""
    one = store(folder)
    begun = time.perf_counter()
    for number in range(VIEWS):
        one.apply(view(f"view-{number}", feature_names(number)))
        rows = pq.read_table(folder / f"view-{number}.parquet")
        step = -(-rows.num_rows // 10)
        for batch in range(10):
            one.ingest(f"view-{number}", rows.slice(batch * step, step), batch_id=f"batch-{batch}")
    return {"seconds": time.perf_counter() - begun}


def join(folder: Path) -> dict[str, Any]:
    """The training set to ``slipway.parquet``. The time counts from the entity rows in memory to the file on disk."""
    one = store(folder)
    rows = pq.read_table(folder / "entities.parquet")
    begun = time.perf_counter()
    with one.training_set(rows, [f"view-{number}" for number in range(VIEWS)], time="event_timestamp") as made:
        pq.read_metadata(made.path)
        seconds = time.perf_counter() - begun
        (folder / "slipway.parquet").write_bytes(made.path.read_bytes())
    return {"seconds": seconds, "rows": made.rows}


def cases(folder: Path) -> dict[str, Any]:
    """The small cases: the answers in the order of the entity rows."""
    found: dict[str, Any] = {}
    for number, case in enumerate(CASES):
        one = store(folder, f"case-{number}")
        one.apply(view("case", ["value"]))
        for row in range(case_history(case).num_rows):  # one batch each: as they came
            one.ingest("case", case_history(case).slice(row, 1))
        with one.training_set(case_entities(case), ["case"], time="event_timestamp", as_of="EntityTime") as made:
            found[case] = made.to_arrow()["value"].to_pylist()
    return found


def write(folder: Path) -> dict[str, Any]:
    """pyarrow alone: the columns that the table has, from memory to one Parquet file."""
    rows = stamp(pq.read_table(folder / "many.parquet"), datetime.now(UTC))
    begun = time.perf_counter()
    pq.write_table(rows, folder / "plain.parquet", compression="zstd")
    seconds = time.perf_counter() - begun
    (folder / "plain.parquet").unlink()
    return {"seconds": seconds}


def ingest(folder: Path) -> dict[str, Any]:
    """From memory into a new table."""
    return _ingest(folder, pq.read_table(folder / "many.parquet"))


def stream(folder: Path) -> dict[str, Any]:
    """From the file, piece by piece."""
    return _ingest(folder, pads.dataset(folder / "many.parquet"))


def _ingest(folder: Path, rows: Any) -> dict[str, Any]:
    one = store(folder, f"many-{time.time_ns()}")
    one.apply(view("many", feature_names(0)))
    begun = time.perf_counter()
    written = one.ingest("many", rows)
    return {"seconds": time.perf_counter() - begun, "rows": written.rows}


ALL = {call.__name__: call for call in (fill, join, cases, write, ingest, stream)}

if __name__ == "__main__":
    print(json.dumps(ALL[sys.argv[1]](Path(sys.argv[2]))))
