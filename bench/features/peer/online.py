"""Feast's online reads, run with the Python of its own virtual environment: ``online.py prepare|read KIND FOLDER …``; prints JSON.

KIND is Feast's online store: ``sqlite``, ``redis``, or ``precomputed``, which is Redis with one vector for each entity."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64
from pace import WARM, middle, paced

FEATURES = [f"f{number}" for number in range(10)]
TTL = timedelta(days=30)


def prepare(kind: str, folder: Path, redis: str) -> dict[str, Any]:
    """A repository over ``folder/online.parquet``, materialised."""
    repository = folder / kind
    repository.mkdir()
    online = (
        f"{{type: sqlite, path: {repository}/online.db}}"
        if kind == "sqlite"
        else f"{{type: redis, connection_string: '{redis}'}}"
    )
    (repository / "feature_store.yaml").write_text(
        f"project: bench_{kind}\nprovider: local\nregistry: {repository}/registry.db\noffline_store: {{type: file}}\n"
        f"online_store: {online}\nentity_key_serialization_version: 3\n"
    )
    store = FeatureStore(repo_path=str(repository))
    user = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
    source = FileSource(path=str(folder / "online.parquet"), timestamp_field="event_time")
    schema = [Field(name=name, dtype=Float64) for name in FEATURES]
    view = FeatureView(name="bench", entities=[user], ttl=TTL, schema=schema, source=source)
    made: list[Any] = [user, view]
    if kind == "precomputed":
        made.append(FeatureService(name="all", features=[view], precompute_online=True))
    store.apply(made)
    now = datetime.now(UTC)
    began = time.perf_counter()
    store.materialize(now - timedelta(days=1), now)
    return {"materialize_seconds": round(time.perf_counter() - began, 2)}


def read(kind: str, folder: Path, entities: str, rate: str, seconds: str) -> dict[str, Any]:
    """Reads in this process, by Feast's SDK."""
    store = FeatureStore(repo_path=str(folder / kind))
    features: Any = [f"bench:{name}" for name in FEATURES]
    full = kind == "precomputed"  # vectors are stored, and only found again, by full names
    if full:
        features = store.get_feature_service("all")
    first = "bench__f0" if full else "f0"

    def ask(user: int) -> None:
        found = store.get_online_features(features=features, entity_rows=[{"user": user}], full_feature_names=full).to_dict()
        assert len(found) == len(FEATURES) + 1 and found[first][0] is not None

    for number in range(WARM):
        ask(number)
    return {"rate": float(rate), "ms": middle(lambda: paced(ask, int(entities), float(rate), float(seconds)))}


if __name__ == "__main__":
    what, kind, folder, *more = sys.argv[1:]
    print(json.dumps({"prepare": prepare, "read": read}[what](kind, Path(folder), *more)))
