"""In whatever pieces a history is materialised, an online read gives the row that the written rule gives: the latest by event time,
created time, time of ingestion and place in the batch, of those that were effective and known by then, within the TTL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.features import EntityKey, Feature, FeatureStore, FeatureView
from slipway.features.online.embedded import EmbeddedStore
from slipway.features.online.port import OnlineStore
from slipway.features.online.redis import RedisStore
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore
from tests.fakes.redis_server import RedisServer, redis_server

START = datetime(2026, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")


def at(step: int) -> datetime:
    return START + timedelta(hours=step)


rows = st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(0, 8))
steps = st.lists(
    st.one_of(
        st.lists(rows, min_size=1, max_size=5),  # a batch
        st.integers(0, 3),  # materialise, so many hours after the last time
    ),
    min_size=1,
    max_size=7,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def check(features: FeatureStore, online: OnlineStore, clock: list[datetime], steps: Any, ttl: int | None) -> None:
    features.apply(
        FeatureView(
            name="visits",
            entities=(EntityKey(name="user", type="int64"),),
            event_time="happened",
            created_time="known",
            ttl=f"{ttl}h" if ttl else None,
            features=(Feature(name="value", type="int64"),),
        )
    )
    history: list[tuple[int, int, int]] = []
    now = 0
    for step in [*steps, 1, 9]:
        if isinstance(step, list):
            batch = list(dict.fromkeys(step))
            columns = list(zip(*batch, strict=True))
            table = {
                "user": columns[0],
                "happened": pa.array([at(event) for event in columns[1]], TIME),
                "known": pa.array([at(created) for created in columns[2]], TIME),
                "value": list(range(len(history), len(history) + len(batch))),
            }
            history += batch
            clock[0] = clock[0] + timedelta(seconds=1)  # batches are ingested one after the other
            features.ingest("visits", pa.table(table))
            continue
        now += step
        features.materialize("visits", to=at(now), online=online)
        held = clock[0]
        clock[0] = at(now)
        found = features.read_online("visits", [{"user": user} for user in range(3)], online=online)
        clock[0] = held
        for user, row in enumerate(found):
            known = [(e, c, place) for place, (u, e, c) in enumerate(history) if u == user and e <= now and c <= now]
            best = max(known, default=None)
            expected = best[2] if best is not None and (ttl is None or now - best[0] <= ttl) else None
            assert (row["value"] if row else None) == expected, (user, now, history)


FREE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(FREE, max_examples=15)
@given(steps=steps, ttl=st.one_of(st.none(), st.integers(1, 4)))
def test_in_any_pieces_embedded(tmp_path: Path, steps: Any, ttl: int | None) -> None:
    folder = tmp_path / uuid4().hex
    clock = [at(1000)]
    features = FeatureStore(Registry(FileStore(folder / "store")), clock=lambda: clock[0])
    check(features, EmbeddedStore(features.registry.store, folder / "cache"), clock, steps, ttl)


@settings(FREE, max_examples=15)
@given(steps=steps)
def test_in_any_pieces_in_redis(tmp_path: Path, server: RedisServer, steps: Any) -> None:
    folder, clock = tmp_path / uuid4().hex, [at(1000)]
    features = FeatureStore(Registry(FileStore(folder / "store")), namespace=f"n{uuid4().hex[:12]}", clock=lambda: clock[0])
    check(features, RedisStore(server.url), clock, steps, None)
