"""Layers of this machine, kept under a key that changes with everything they are made of."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.images import layer, oci
from slipway.images.blobs import StoredFile
from slipway.images.entries import Entry
from slipway.images.errors import ImageError
from slipway.registry.records import canonical_json

_UNUSED_DAYS = 30


class CachedLayer(BaseModel):
    """What is kept of a layer beside its bytes. `facts` is what its maker wants to know without looking inside."""

    model_config = ConfigDict(frozen=True)
    descriptor: oci.Descriptor
    diff_id: str
    plain_size: int
    facts: dict[str, list[str]] = {}


@dataclass(frozen=True)
class Found:
    """A layer of the cache. `fresh`: it was made just now, in `seconds`."""

    record: CachedLayer
    content: StoredFile
    fresh: bool
    seconds: float


Make = Callable[[Path], tuple[Iterable[Entry], Mapping[str, list[str]]]]
"""Makes a layer's entries and facts in an empty folder, which lives until they are packed."""


def key_of(*inputs: object) -> str:
    """A key from JSON values."""
    return hashlib.sha256(canonical_json(list(inputs))).hexdigest()


class LayerCache:
    """A folder with layers. Several processes may use it at the same time."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def layer(self, key: str, make: Make) -> Found:
        """The layer under `key`, made if it is not there. Raises what `make` raises."""
        started = time.monotonic()
        found = self._read(key)
        if found is not None:
            return Found(found, self._content(found), False, time.monotonic() - started)
        with self._work() as work:
            made, facts = make(work)
            packed = layer.pack(made, work / "layer.tar.gz")
            record = CachedLayer(
                descriptor=packed.descriptor, diff_id=packed.diff_id, plain_size=packed.plain_size, facts=dict(facts)
            )
            content = self._content(record)
            content.path.parent.mkdir(parents=True, exist_ok=True)
            packed.path.replace(content.path)
            self._write(self._record(key), record.model_dump_json(by_alias=True).encode(), work)
        return Found(record, content, True, time.monotonic() - started)

    def note(self, key: str, make: Callable[[], object]) -> object:
        """A JSON value under `key`, made if it is not there: for results of programs that take long to start."""
        path = self._root / "notes" / f"{key}.json"
        with contextlib.suppress(FileNotFoundError, ValueError):
            value: object = json.loads(path.read_bytes())
            _touch(path)
            return value
        value = make()
        with self._work() as work:
            self._write(path, canonical_json(value), work)
        return value

    def prune(self) -> None:
        """Removes what was not used for 30 days."""
        limit = time.time() - _UNUSED_DAYS * 86400
        for path in [*self._root.glob("layers/*.json"), *self._root.glob("notes/*.json")]:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    path.unlink()
        for path in [*self._root.glob("blobs/sha256/*"), *self._root.glob("work/*")]:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _read(self, key: str) -> CachedLayer | None:
        path = self._record(key)
        try:
            record = CachedLayer.model_validate_json(path.read_bytes())
            content = self._content(record)
            if content.path.stat().st_size != content.size:
                return None
        except (FileNotFoundError, ValidationError):
            return None
        _touch(path)
        _touch(content.path)
        return record

    def _content(self, record: CachedLayer) -> StoredFile:
        digest = record.descriptor.digest
        path = self._root / "blobs" / "sha256" / digest.removeprefix("sha256:")
        return StoredFile(path, digest, record.descriptor.size)

    def _record(self, key: str) -> Path:
        return self._root / "layers" / f"{key}.json"

    @contextlib.contextmanager
    def _work(self) -> Iterator[Path]:
        folder = self._root / "work"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImageError(f"the cache {self._root} cannot be written: {error.strerror}; set XDG_CACHE_HOME") from error
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
            yield Path(name)

    @staticmethod
    def _write(path: Path, data: bytes, work: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = work / "record"
        temporary.write_bytes(data)
        temporary.replace(path)


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.utime(path)
