"""Fixtures that give object stores. A folder's conftest imports what it uses; SeaweedFS starts once per process."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from functools import cache
from uuid import uuid4

import pytest

from slipway.storage import ObjectStore, open_store
from slipway.storage.files import FileStore
from slipway.storage.memory import MemoryStore
from slipway.storage.s3 import S3Connection
from tests.fakes.stores import ADMIN, BUCKET, Weed, credentials

KINDS = ("memory", "file", "s3")


@cache
def _weed() -> Weed:
    server = Weed()
    atexit.register(server.close)
    server.start()
    return server


@cache
def _connection() -> S3Connection:
    return S3Connection(_weed().options())


@pytest.fixture
def seaweed(monkeypatch: pytest.MonkeyPatch) -> Weed:
    """A real S3 server, and the environment of its administrator."""
    for name, value in credentials(ADMIN).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    return _weed()


@pytest.fixture
def s3_store(seaweed: Weed) -> ObjectStore:
    """An empty prefix on it."""
    return open_store(f"s3://{BUCKET}/{uuid4()}", seaweed.options())


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "file":
        yield FileStore(tmp_path_factory.mktemp("store"))
    else:
        request.getfixturevalue("seaweed")
        from slipway.storage.s3 import S3Store

        connection = _connection()
        yield S3Store(connection, BUCKET, str(uuid4()))


@pytest.fixture
def buckets(seaweed: Weed) -> Callable[[str], ObjectStore]:
    """Whole buckets of the real server."""
    return _connection().bucket
