"""Ingestion into an S3 server that throttles: some requests, or all of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pytest

from slipway.features import FeatureStore
from slipway.registry.registry import Registry
from slipway.storage import open_store
from slipway.storage.port import Unavailable
from tests.fakes.bad_network import BadNetwork, Fault
from tests.fakes.stores import BUCKET, Weed

VIEW = {"name": "visits", "entities": [{"name": "user"}], "features": [{"name": "pages", "type": "int64"}]}


@pytest.fixture
def near(seaweed: Weed) -> FeatureStore:
    """Without the network between."""
    made = FeatureStore(Registry(open_store(f"s3://{BUCKET}/{uuid4()}", seaweed.options())))
    made.apply(VIEW)
    return made


@pytest.fixture
def far(near: FeatureStore, network: BadNetwork, seaweed: Weed) -> FeatureStore:
    options = seaweed.options(endpoint_url=network.endpoint, attempts=2)
    return FeatureStore(Registry(open_store(near.registry.store.uri, options)))


def batch(first: int, count: int = 100) -> pa.Table:
    time = pa.array([datetime.now(UTC) - timedelta(seconds=60)] * count, pa.timestamp("us", "UTC"))
    return pa.table({"user": range(first, first + count), "event_time": time, "pages": [1] * count})


def test_some_requests_are_throttled_and_every_row_lands_once(far: FeatureStore, near: FeatureStore, network: BadNetwork) -> None:
    far.ingest("visits", batch(0))
    seen = len(network.seen)
    refused: dict[tuple[str, str], int] = {}

    def choose(method: str, path: str) -> Fault | None:
        """Each request once, the first time it comes: of the table's log and of its rows."""
        key = (method, path.partition("?")[0])
        refused[key] = refused.get(key, 0) + 1
        return "503" if "/table/" in path and refused[key] == 1 else None

    network.choose = choose
    far.ingest("visits", batch(100), batch_id="second")
    assert any(method == "PUT" and "_delta_log" in path for method, path in network.seen[seen:])
    assert sum(count > 1 for count in refused.values()) >= 3, "they were asked again"
    status = near.status("visits")
    assert (status.rows, status.table_version) == (200, 2)


def test_a_store_that_only_throttles_is_told_and_nothing_lands(
    far: FeatureStore, near: FeatureStore, network: BadNetwork
) -> None:
    far.ingest("visits", batch(0))
    network.choose = lambda method, path: "503" if "/table/" in path and method == "PUT" else None
    with pytest.raises(Unavailable, match=r"s3://.*visits/table: the store does not answer: .*SlowDown"):
        far.ingest("visits", batch(100), batch_id="second")
    assert near.status("visits").rows == 100
    network.choose = lambda _method, _path: None
    assert far.ingest("visits", batch(100), batch_id="second").rows == 100, "the same batch again"
    assert near.status("visits").rows == 200
