from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from slipway.storage import ObjectStore
from slipway.storage.files import FileStore
from slipway.storage.memory import MemoryStore
from slipway.storage.port import Stores
from tests.fakes.store_fixtures import KINDS, buckets, s3_store, seaweed
from tests.fakes.stores import BUCKET

__all__ = ["buckets", "s3_store", "seaweed"]


@pytest.fixture(params=KINDS)
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """Whole buckets of each kind of store."""
    if request.param == "s3":
        made: Callable[[str], ObjectStore] = request.getfixturevalue("buckets")
        return made
    folder: Path = tmp_path_factory.mktemp("buckets")
    kept: dict[str, ObjectStore] = {}

    def make(name: str) -> ObjectStore:
        return kept.setdefault(name, FileStore(folder / name) if request.param == "file" else MemoryStore(name))

    return make


@pytest.fixture
def place() -> str:
    """An unused prefix, as ``s3://bucket/prefix``."""
    return f"s3://{BUCKET}/{uuid4()}"
