"""Object storage behind one small port (`slipway.storage.port`): S3, a folder, or memory.

`open_store` makes a store from a URI. Importing this package is cheap: boto3 is imported when a client is first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from slipway.storage.keys import file_path, redact
from slipway.storage.memory import MemoryStore
from slipway.storage.port import (
    Denied,
    InvalidKey,
    NoBucket,
    NotFound,
    ObjectInfo,
    ObjectStore,
    OutcomeUnknown,
    Precondition,
    Progress,
    StorageError,
    Stored,
    Stores,
    Unavailable,
)

__all__ = [
    "Denied",
    "InvalidKey",
    "NoBucket",
    "NotFound",
    "ObjectInfo",
    "ObjectStore",
    "OutcomeUnknown",
    "Precondition",
    "Progress",
    "S3Options",
    "StorageError",
    "Stored",
    "Stores",
    "Unavailable",
    "lazily",
    "open_store",
    "open_stores",
]


@dataclass(frozen=True)
class S3Options:
    """How to reach an S3 endpoint. What is None is found the AWS way (``AWS_ENDPOINT_URL_S3``, ``AWS_PROFILE``,
    ``AWS_REGION``, files, web identity); credentials always are. Times in seconds, sizes in bytes."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    attempts: int = 4
    """Tries per request, the first one included, with growing pauses."""
    connections: int = 32
    """Connections kept open at most; more callers wait for one."""
    when_required_checksums: bool | None = None
    """Send and check the SDK's own checksums only where S3 demands it; None: so for endpoints other than AWS, many of
    which refuse them. Content is checked by sha256 either way."""
    path_style: bool | None = None
    """``endpoint/bucket/key`` instead of ``bucket.endpoint/key``; None: so for endpoints other than AWS."""
    part_size: int = 16 << 20
    """Files larger than this go up in parts of this size."""
    parallel_parts: int = 4


_memory: dict[str, MemoryStore] = {}
_memory_lock = Lock()


def open_store(
    uri: str, options: S3Options | None = None, *, endpoint_url: str | None = None, region: str | None = None
) -> ObjectStore:
    """The store at ``s3://bucket/prefix``, ``file:///folder`` or ``memory://name`` (one per name and process; tests).

    `endpoint_url` and `region` go before those of `options`. No request is made yet. Raises InvalidKey for a URI
    that is none of these."""
    scheme, separator, rest = uri.strip().partition("://")
    if scheme == "s3" and separator:
        from slipway.storage.s3 import S3Store

        return S3Store.at(uri, options, endpoint_url=endpoint_url, region=region)
    if scheme == "file" and separator:
        from slipway.storage.files import FileStore

        return FileStore(Path(file_path(uri.strip())))
    if scheme == "memory" and separator:
        with _memory_lock:
            return _memory.setdefault(rest, MemoryStore(rest or "memory")) if rest else MemoryStore()
    raise InvalidKey(f"{redact(uri)!r} names no store: write s3://bucket/prefix, or file:///folder for a local one")


def open_stores(options: S3Options | None = None) -> Stores:
    """Gives buckets by name, all through one connection pool with one endpoint and one set of credentials."""
    from slipway.storage.s3 import S3Connection

    return S3Connection(options or S3Options()).bucket


def lazily(make: Callable[[], Stores]) -> Stores:
    """Buckets of what `make` gives, called when the first is asked for: most sources need none."""
    made: list[Stores] = []

    def bucket(name: str) -> ObjectStore:
        if not made:
            made.append(make())
        return made[0](name)

    return bucket
