from __future__ import annotations

import pytest

from slipway.features import FeatureStore
from slipway.registry.registry import Registry
from slipway.storage import ObjectStore
from slipway.storage.files import FileStore
from tests.fakes.clock import FakeClock
from tests.fakes.store_fixtures import s3_store, seaweed

__all__ = ["s3_store", "seaweed"]


@pytest.fixture(params=["file", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """A place that Delta Lake can reach too: a folder, and a real S3 server."""
    if request.param == "file":
        return FileStore(tmp_path_factory.mktemp("store"))
    found: ObjectStore = request.getfixturevalue("s3_store")
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def features(bucket: ObjectStore, clock: FakeClock) -> FeatureStore:
    return FeatureStore(Registry(bucket), namespace="team", clock=clock)
