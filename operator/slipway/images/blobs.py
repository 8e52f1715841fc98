"""Content to upload: a file, bytes, or a blob of another registry that is passed through without being stored here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipway.images.errors import FileChanged
from slipway.images.layer import Layer
from slipway.images.oci import Descriptor, sha256

PIECE = 256 << 10
"""Bytes read at a time."""


class Content(Protocol):
    """A blob's bytes, readable from any place more than once."""

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of all bytes."""

    @property
    def size(self) -> int:
        """In bytes."""

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Exactly the `length` bytes from `start`, in pieces."""


@dataclass(frozen=True)
class Bytes:
    """A blob in memory."""

    data: bytes

    @property
    def digest(self) -> str:
        """Computed at each use; for small documents."""
        return sha256(self.data)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """In pieces."""
        for at in range(start, start + length, PIECE):
            yield self.data[at : min(at + PIECE, start + length)]


@dataclass(frozen=True)
class StoredFile:
    """A blob in a file whose digest is known."""

    path: Path
    digest: str
    size: int

    @classmethod
    def of(cls, layer: Layer) -> StoredFile:
        """A packed layer."""
        return cls(layer.path, layer.descriptor.digest, layer.descriptor.size)

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """In pieces. Raises FileChanged when the file has become shorter."""
        with self.path.open("rb") as reader:
            reader.seek(start)
            while length:
                piece = reader.read(min(PIECE, length))
                if not piece:
                    raise FileChanged(f"{self.path} has become shorter while it was uploaded")
                length -= len(piece)
                yield piece


@dataclass(frozen=True)
class Remote:
    """A blob of a registry. `reader` gives its bytes from ``(digest, start, length)``."""

    descriptor: Descriptor
    reader: Callable[[str, int, int], Iterator[bytes]]

    @property
    def digest(self) -> str:
        """As its manifest says."""
        return self.descriptor.digest

    @property
    def size(self) -> int:
        """As its manifest says, in bytes."""
        return self.descriptor.size

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """In pieces, straight from the registry."""
        return self.reader(self.descriptor.digest, start, length)
