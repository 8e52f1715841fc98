"""What Feast does, run with the Python of its own virtual environment: ``measure.py WHAT FOLDER``; prints JSON."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from cases import CASES, case_entities, case_history
from data import TTL_DAYS, VIEWS, feature_names
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64


def store(folder: Path, views: list[FeatureView], entity: Entity) -> FeatureStore:
    """A repository with its registry in a file, the offline store in files, the online store in SQLite: Feast's defaults."""
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "feast-registry.db"),
        offline_store={"type": "file"},
        online_store={"type": "sqlite", "path": str(folder / "feast-online.db")},
        entity_key_serialization_version=3,
    )
    made = FeatureStore(config=config)
    made.apply([entity, *views])
    return made


def user() -> Entity:
    """The one entity."""
    return Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)


def view(name: str, path: Path, columns: list[str], entity: Entity) -> FeatureView:
    """A view over a file."""
    source = FileSource(path=str(path), timestamp_field="event_timestamp", created_timestamp_column="created")
    schema = [Field(name=column, dtype=Float64) for column in columns]
    return FeatureView(name=name, entities=[entity], ttl=timedelta(days=TTL_DAYS), schema=schema, source=source)


def join(folder: Path) -> dict[str, Any]:
    """The training set to ``feast.parquet``. The time counts from the entity rows in memory to the file on disk."""
    entity = user()
    views = [view(f"view_{n}", folder / f"view-{n}.parquet", feature_names(n), entity) for n in range(VIEWS)]
    one = store(folder, views, entity)
    rows = pd.read_parquet(folder / "entities.parquet")
    features = [f"view_{number}:{name}" for number in range(VIEWS) for name in feature_names(number)]
    begun = time.perf_counter()
    made = one.get_historical_features(entity_df=rows, features=features).to_arrow()
    pq.write_table(made, folder / "feast.parquet", compression="zstd")
    return {"seconds": time.perf_counter() - begun, "rows": made.num_rows}


def cases(folder: Path) -> dict[str, Any]:
    """The small cases: the answers in the order of the entity rows; "dropped" where the row is not in the answer."""
    found: dict[str, Any] = {}
    for case in CASES:
        entity = user()
        path = folder / f"case-{case}.parquet"
        pq.write_table(case_history(case), path)
        one = store(folder, [view("case", path, ["value"], entity)], entity)
        rows = case_entities(case).to_pandas()
        made = one.get_historical_features(entity_df=rows, features=["case:value"]).to_df()
        by_row = {int(row): value for row, value in zip(made["row"], made["value"], strict=True)}
        answers = [by_row.get(row, "dropped") for row in rows["row"]]
        found[case] = [None if isinstance(answer, float) and answer != answer else answer for answer in answers]
    return found


if __name__ == "__main__":
    print(json.dumps({"join": join, "cases": cases}[sys.argv[1]](Path(sys.argv[2]))))
