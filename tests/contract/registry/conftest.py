from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.storage import ObjectStore
from slipway.storage.files import FileStore
from slipway.storage.memory import MemoryStore
from slipway.storage.s3 import S3Store
from tests.fakes.store_fixtures import s3_store, seaweed, store

__all__ = ["make_prefix", "s3_store", "seaweed", "store"]


@pytest.fixture
def make_prefix(store: ObjectStore) -> Callable[[str], ObjectStore]:
    """Stores beside each other in the place of `store`."""

    def make(name: str) -> ObjectStore:
        if isinstance(store, S3Store):
            return S3Store(store.connection, store.bucket, f"{store.prefix}{name}")
        return FileStore(store.root / name) if isinstance(store, FileStore) else MemoryStore(name)

    return make
