"""The port to object storage: the few calls that everything durable in Slipway is built from.

Implementations: `slipway.storage.s3.S3Store` (the real one), `slipway.storage.files.FileStore` (a folder, for
laptops) and `slipway.storage.memory.MemoryStore` (tests). The same contract tests run over all. All calls block;
callers on an event loop go through an executor. `slipway.storage.open_store` makes one from a URI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

Progress = Callable[[int], None]
"""Called with the number of bytes moved since the last call; may come from several threads, one at a time."""

Check = Callable[[], None]


def unchecked() -> None:
    """The check of those who have none."""


class StorageError(Exception):
    """Base of all errors of the port. The message names bucket, key and what to do."""


class NotFound(StorageError):
    """No object under that key."""


class Precondition(StorageError):
    """A conditional call was refused, or its outcome is not known: not surely written by this call; read again."""


class OutcomeUnknown(Precondition):
    """A conditional write that may or may not have been done (time-out, 5xx, lost connection): read the key."""


class Denied(StorageError):
    """The store refused our credentials, or they lack a permission, or the bucket is missing. A person is needed."""


class NoBucket(Denied):
    """The bucket does not exist: a matter for a person, and never to be taken for an absent object."""


class Unavailable(StorageError):
    """The store did not answer, or answered 429 or 5xx after retries. Try again later."""


class InvalidKey(StorageError, ValueError):
    """A key or URI that no store can hold or that would climb out of a folder."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a store says of an object. `etag` is opaque (quotes stripped) and no content hash; `size` in bytes."""

    key: str
    size: int
    etag: str
    modified: datetime | None = None


@dataclass(frozen=True)
class Stored:
    """An object with its bytes."""

    info: ObjectInfo
    data: bytes


class ObjectStore(Protocol):
    """One bucket with a key prefix that is applied to every key and stripped from every answer."""

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix`` for messages; holds no secret."""

    def get(self, key: str, *, if_match: str | None = None) -> Stored:
        """The whole object. Raises NotFound; Precondition when its etag is not `if_match`."""

    def get_many(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """Several small objects, asked for at once and in no order: in the order of `keys`, None for each that is not there."""

    def open(self, key: str, *, offset: int = 0, if_match: str | None = None) -> BinaryIO:
        """A reader over the object from byte `offset`, for objects too large for memory. Close it. Reading raises
        Unavailable when the connection is lost before the end: `slipway.storage.stream` goes on from there."""

    def head(self, key: str) -> ObjectInfo:
        """Raises NotFound."""

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        """Writes, replacing what was there."""

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        """Writes only where no object is. Raises Precondition when refused (404, 409, 412) and its subclass
        OutcomeUnknown after a time-out or 5xx: the caller then reads the key and recognises its own write by its
        content."""

    def put_if_match(self, key: str, data: bytes, etag: str, *, content_type: str = "application/json") -> ObjectInfo:
        """Writes only over the object with that `etag`. Raises as `put_if_absent`."""

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",
        progress: Progress | None = None,
        check: Check = unchecked,
    ) -> ObjectInfo:
        """Uploads a file of any size in constant memory, in parts when large, replacing what was there. `check` is called when the whole
        file was read and before anything of it is to be seen: what it raises ends the call, and no object was written. After
        another failure, the next call goes on where the store can tell what it has."""

    def end_unfinished(self, prefix: str, before: datetime) -> int:
        """Throws away what uploads under `prefix` have left that were begun before a time (with its zone) and never ended;
        gives their number. Stores without such leftovers give 0."""

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """Objects whose key begins with `prefix`, in ascending key order, after the key `start_after`, at most `limit`;
        pages as needed. Errors come while iterating."""

    def list_folders(self, prefix: str) -> Iterator[str]:
        """The distinct next path segments under `prefix` (empty, or ending with '/'), without trailing slash,
        sorted. Some stores still show one for a while after its last object was deleted."""

    def delete(self, key: str) -> None:
        """Removes the object; an absent one is no error."""


Stores = Callable[[str], ObjectStore]
"""Gives the whole bucket of that name as a store, with one endpoint and one set of credentials for all."""
