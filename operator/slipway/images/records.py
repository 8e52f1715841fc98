"""What earlier app builds found out, kept in the model registry's bucket: locks by their requirement lines, and layers by
their lock. Losing it costs time and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field

from slipway.images import oci
from slipway.images.cache import key_of
from slipway.images.layer import compressor
from slipway.images.runtime import Runtime
from slipway.registry import documents
from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.registry.records import SCHEMA_VERSION, Digest, Document
from slipway.storage.port import ObjectStore

FORMAT = 1
"""Raised when the same lock makes another layer than before."""
_PREFIX = "index/images/"
D = TypeVar("D", bound=Document)


class LockRecord(Document):
    """What requirement lines resolved to."""

    schema_version: int = SCHEMA_VERSION
    requirements: tuple[str, ...] = ()


class LayerRecord(Document):
    """A layer that was pushed. `size` in bytes, compressed; `repository`: where its blob went."""

    schema_version: int = SCHEMA_VERSION
    digest: Digest
    size: int = Field(ge=0)
    diff_id: Digest
    repository: str

    @property
    def descriptor(self) -> oci.Descriptor:
        """For a manifest."""
        return oci.Descriptor(media_type=oci.LAYER_GZIP, digest=self.digest, size=self.size)


class Records:
    """Reads and writes them. Records that cannot be read count as missing; the store's own errors pass."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def lock(self, key: str) -> LockRecord | None:
        """By `lock_key`."""
        return self._read(f"locks/{key}.json", LockRecord)

    def keep_lock(self, key: str, record: LockRecord) -> None:
        """Replaces what was there."""
        self._store.put(f"{_PREFIX}locks/{key}.json", record.to_json(), content_type="application/json")

    def layer(self, key: str) -> LayerRecord | None:
        """By `layer_key`."""
        return self._read(f"layers/{key}.json", LayerRecord)

    def keep_layer(self, key: str, record: LayerRecord) -> None:
        """Replaces what was there."""
        self._store.put(f"{_PREFIX}layers/{key}.json", record.to_json(), content_type="application/json")

    def _read(self, name: str, kind: type[D]) -> D | None:
        try:
            return documents.read(self._store, _PREFIX + name, kind)
        except (CorruptRecord, NewerSchema):
            return None


def lock_key(lines: Sequence[str], runtime: Runtime, own: Sequence[str], index: str, *, sdists: bool) -> str:
    """Changes with everything that a resolution depends on, but for what the index holds. `own`: digests of wheels in the
    source; `index`: which one is asked."""
    return key_of(
        "lock", list(lines), runtime.python_version, runtime.wheel_platform, list(runtime.packages), list(own), index, sdists
    )


def layer_key(lock: Sequence[str], runtime: Runtime, builder: str) -> str:
    """Changes with everything that the layer of a lock is made of. `builder`: the Python that compiles."""
    return key_of("layer", FORMAT, list(lock), runtime.minor, runtime.wheel_platform, builder, compressor())
