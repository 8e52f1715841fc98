"""No value that was written or effective later ever appears, and what appears is what the written rule says: for random
histories, late rows, ties, TTLs and as-of times, against a reference that is nothing but loops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.features import EntityKey, Feature, FeatureStore, FeatureView
from slipway.features.join import ENTITY_TIME
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore

START = datetime(2026, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


def at(step: int) -> datetime:
    return START + timedelta(hours=step)


rows = st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.integers(0, 8), st.integers(0, 8))
histories = st.lists(st.lists(rows, min_size=1, max_size=6), min_size=1, max_size=3)
asked = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.integers(-1, 9)), min_size=1, max_size=6)


def expected(
    history: list[tuple[int, int, str, int, int, float]], row: tuple[int, str, int], as_of: int | None, ttl: int | None
) -> float | None:
    """`history` has (batch, user, shop, event, created, value) in the order of ingestion."""
    user, shop, moment = row
    known = [
        (event, created, number, value)
        for number, (_, u, s, event, created, value) in enumerate(history)
        if (u, s) == (user, shop) and event <= moment and created <= (moment if as_of is None else as_of)
    ]
    if not known:
        return None
    event, _, _, value = max(known)
    return value if ttl is None or moment - event <= ttl else None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    histories=histories,
    asked=asked,
    as_of=st.one_of(st.none(), st.integers(0, 9)),
    ttl=st.one_of(st.none(), st.integers(1, 4)),
    own_created=st.just(True),
)
def test_nothing_from_the_future(
    tmp_path: Path, histories: Any, asked: Any, as_of: int | None, ttl: int | None, own_created: bool
) -> None:
    clock = iter(at(1000 + step) for step in range(10_000))
    store = FeatureStore(Registry(FileStore(tmp_path / uuid4().hex)), clock=lambda: next(clock))
    view = FeatureView(
        name="visits",
        entities=(EntityKey(name="user", type="int64"), EntityKey(name="shop", type="string")),
        event_time="happened",
        created_time="known",
        ttl=f"{ttl}h" if ttl else None,
        features=(Feature(name="value"),),
    )
    store.apply(view)
    history: list[tuple[int, int, str, int, int, float]] = []
    for number, batch in enumerate(histories):
        unique = list(dict.fromkeys(batch))
        values = [float(len(history) + place) for place in range(len(unique))]
        history += [(number, u, s, event, created, v) for (u, s, event, created), v in zip(unique, values, strict=True)]
        columns = list(zip(*unique, strict=True))
        store.ingest(
            "visits",
            pa.table(
                {
                    "user": pa.array(columns[0], pa.int64()),
                    "shop": pa.array(columns[1], pa.string()),
                    "happened": pa.array([at(step) for step in columns[2]], TIME),
                    "known": pa.array([at(step) for step in columns[3]], TIME),
                    "value": values,
                }
            ),
        )
    users, shops, moments = zip(*asked, strict=True)
    entities = pa.table(
        {
            "shop": pa.array(shops, pa.string()),
            "user": pa.array(users, pa.int64()),
            "event_time": pa.array([at(step) for step in moments], TIME),
            "label": pa.array(range(len(asked)), pa.int64()),
        }
    )
    with store.training_set(entities, ["visits"], as_of=ENTITY_TIME if as_of is None else at(as_of)) as made:
        found = made.to_arrow()
    assert found["label"].to_pylist() == list(range(len(asked))), "as many rows as were asked for, in their order"
    assert found["value"].to_pylist() == [expected(history, row, as_of, ttl) for row in asked]
