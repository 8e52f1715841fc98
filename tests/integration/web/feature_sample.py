"""A feature view as a team has it after some weeks: what ingestions recorded, and a training set. No table: pages read none."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from slipway.features import ingested, parse
from slipway.features.records import SnapshotDraft, ViewPin
from slipway.features.snapshots import Snapshots
from slipway.features.statistics import describe
from slipway.features.summary import Summary
from slipway.features.tables import Totals
from slipway.features.views import Views
from slipway.registry.names import ModelName
from slipway.registry.records import FileEntry
from slipway.storage.port import ObjectStore

NAME = ModelName("default", "visits")
VIEW = parse(
    {
        "name": "visits",
        "description": "What users did on the site, by day",
        "entities": [{"name": "user"}],
        "eventTime": "happened",
        "createdTime": "known",
        "ttl": "30d",
        "features": [
            {"name": "pages", "type": "int64", "description": "pages seen on that day"},
            {"name": "spent", "type": "float64", "description": "EUR on that day"},
            {"name": "country", "type": "string", "description": "where from"},
            {"name": "mobile", "type": "bool"},
            {"name": "embedding", "type": "list<float32>", "description": "of the pages' texts"},
        ],
        "tags": {"team": "web"},
    }
)
INGESTIONS = 34


def rows(day: int, at: datetime) -> pa.Table:
    """A day's batch. On days 20 to 24 half the countries are missing, and the batch of day 21 came late."""
    random = np.random.default_rng(day)
    count = 1800 + int(500 * math.sin(day / 3)) + 20 * day
    spent = random.lognormal(3, 0.7, count)
    lost = 0.5 if 20 <= day <= 24 else 0.03
    countries = random.choice(["de", "fr", "pl", "nl", "at", "dk"], count, p=[0.45, 0.2, 0.15, 0.1, 0.06, 0.04])
    late = timedelta(hours=30 if day == 21 else 2 + day % 3)
    happened = [at - late - timedelta(seconds=int(s)) for s in random.integers(0, 86400, count)]
    time = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "user": pa.array(random.integers(1, 5000, count), pa.int64()),
            "happened": pa.array(happened, time),
            "known": pa.array([at] * count, time),
            "pages": pa.array(random.poisson(9, count), pa.int64()),
            "spent": pa.array(
                [None if r < 0.12 else round(float(v), 2) for r, v in zip(random.random(count), spent, strict=True)]
            ),
            "country": pa.array([None if r < lost else str(c) for r, c in zip(random.random(count), countries, strict=True)]),
            "mobile": pa.array(random.random(count) < 0.6),
            "embedding": pa.array([[0.1, 0.2]] * count, pa.list_(pa.float32())),
        }
    )


def fill(store: ObjectStore, now: datetime) -> None:
    """A revision, a month of ingestions that ends at `now`, and two snapshots."""
    revision = Views(store).apply(NAME.namespace, VIEW, by="FeatureView default/visits", writer="w", now=lambda: now)
    total, found = 0, None
    for day in range(INGESTIONS):
        at = now - timedelta(days=INGESTIONS - 1 - day, minutes=17)
        found = rows(day, at)
        total += found.num_rows
        summary = Summary(VIEW)
        summary.add(found)
        record = summary.ingestion(revision, day + 1, at)
        known = Totals(total, {}, {"happened": record.last_event or at})
        whole = {"table_rows": known.rows, "newest_event": known.highest["happened"]}
        ingested.record(store, record.model_copy(update=whole))
    assert found is not None
    for number in (1, 2):
        chosen = found.slice(0, 400 * number).select(["user", "happened", "pages", "spent", "country"])
        bought = pa.array([n % 3 == 0 for n in range(chosen.num_rows)])
        chosen = chosen.append_column("bought", bought)
        Snapshots(store, ModelName("default", "churn")).freeze(
            SnapshotDraft(
                namespace="default",
                name="churn",
                as_of="EntityTime",
                files=(FileEntry(path="data.parquet", digest=f"sha256:{number:064x}", size=18_000 * number),),
                rows=chosen.num_rows,
                columns={field.name: str(field.type) for field in chosen.schema},
                label_columns=("bought",),
                views=(
                    ViewPin(
                        view=str(NAME),
                        revision=1,
                        definition=revision.digest,
                        table_version=30,
                        features=("pages", "spent", "country"),
                    ),
                ),
                statistics=describe(chosen),
            ),
            by="ann",
            writer="w",
            now=lambda: now,
        )
