"""Bytes of the registry as HTTP answers: streamed, checked against their digest as they go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from slipway.registry.errors import CorruptBlob, MissingBlob
from slipway.registry.records import FileEntry
from slipway.registry.registry import Registry
from slipway.storage.port import NotFound
from slipway.storage.stream import read_chunks

SMALL = 4 << 20
"""Bytes up to which a file is checked before the first byte is sent."""


def stream(registry: Registry, entry: FileEntry, headers: dict[str, str]) -> Response:
    """The bytes of `entry`. A larger file whose bytes turn out wrong at its end is broken off: its length then does not fit,
    which every client notices. Raises MissingBlob, CorruptBlob."""
    common = {"ETag": f'"{entry.digest}"', "Content-Type": entry.media_type, **headers}
    if entry.size <= SMALL:
        return Response(registry.blobs.read(entry.digest), headers=common)
    if not registry.blobs.exists(entry.digest):
        raise MissingBlob(f"no blob {entry.digest} in {registry.store.uri}", [entry.digest])
    return StreamingResponse(_checked(registry, entry), headers=common | {"Content-Length": str(entry.size)})


def _checked(registry: Registry, entry: FileEntry) -> Iterator[bytes]:
    """All pieces; the last one only when the digest of them all is right."""
    sha256, held = hashlib.sha256(), b""
    try:
        for piece in read_chunks(registry.store, registry.blobs.key(entry.digest)):
            sha256.update(piece)
            if held:
                yield held
            held = piece
    except NotFound as error:
        raise MissingBlob(f"no blob {entry.digest} in {registry.store.uri}", [entry.digest]) from error
    if sha256.hexdigest() != entry.digest.removeprefix("sha256:"):
        raise CorruptBlob(f"{registry.store.uri}/{registry.blobs.key(entry.digest)} is corrupt")
    yield held
