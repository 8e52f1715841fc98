"""A store in a local folder, for laptops and tests: `put_if_absent` by hard link, which the kernel makes atomic.

Good for one machine; on a network file system it is as good as that system's links and locks.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from slipway.storage.keys import check_key
from slipway.storage.port import (
    Check,
    Denied,
    InvalidKey,
    NotFound,
    ObjectInfo,
    Precondition,
    Progress,
    StorageError,
    Stored,
    Unavailable,
    unchecked,
)

_PRIVATE = ".slipway-store"
"""Folder for half-written files and the lock; no key begins with it."""
_CHUNK = 1 << 20


class FileStore:
    """An `ObjectStore` whose objects are files under `root`. Safe for many threads and processes of one machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._private = root / _PRIVATE

    @property
    def uri(self) -> str:
        """``file:///folder``."""
        return self.root.absolute().as_uri()

    def get(self, key: str, *, if_match: str | None = None) -> Stored:
        """As the port says."""
        reader, info = self._opened(key, if_match)
        with reader, self._errors(key):
            return Stored(info, reader.read())

    def get_many(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """As the port says."""
        found: list[Stored | None] = []
        for key in keys:
            try:
                found.append(self.get(key))
            except NotFound:
                found.append(None)
        return found

    def open(self, key: str, *, offset: int = 0, if_match: str | None = None) -> BinaryIO:
        """As the port says."""
        reader, _ = self._opened(key, if_match)
        reader.seek(offset)
        return reader

    def head(self, key: str) -> ObjectInfo:
        """As the port says."""
        reader, info = self._opened(key, None)
        reader.close()
        return info

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        """As the port says."""
        with self._errors(key), self._temporary(key, data) as source, self._locked():
            return self._place(key, source, replace=True)

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        """As the port says."""
        with self._errors(key), self._temporary(key, data) as source, self._locked(shared=True):
            try:
                return self._place(key, source, replace=False)
            except FileExistsError as error:
                raise Precondition(f"{self.uri}/{key} exists already") from error

    def put_if_match(self, key: str, data: bytes, etag: str, *, content_type: str = "application/json") -> ObjectInfo:
        """As the port says."""
        with self._errors(key), self._temporary(key, data) as source, self._locked():
            try:
                same = _etag(self._path(key).stat()) == etag
            except FileNotFoundError:
                same = False
            if not same:
                raise Precondition(f"{self.uri}/{key} is not as it was read")
            return self._place(key, source, replace=True)

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",
        progress: Progress | None = None,
        check: Check = unchecked,
    ) -> ObjectInfo:
        """As the port says."""
        with (
            path.open("rb") as reader,
            self._errors(key),
            self._temporary(key, reader, progress) as source,
            self._locked(),
        ):
            check()
            return self._place(key, source, replace=True)

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """As the port says."""
        with self._errors(prefix):
            yield from islice(self._walk("", prefix, start_after), limit)

    def list_folders(self, prefix: str) -> Iterator[str]:
        """As the port says."""
        if prefix and not prefix.endswith("/"):
            raise InvalidKey(f"{prefix!r} is no folder: it must end with '/'")
        with self._errors(prefix):
            for name, is_folder in self._children(prefix):
                if is_folder and next(self._walk(f"{prefix}{name}/", f"{prefix}{name}/", ""), None) is not None:
                    yield name

    def delete(self, key: str) -> None:
        """As the port says."""
        path = self._path(key)
        with self._errors(key), self._locked():
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
            for folder in path.parents:
                if folder == self.root:
                    return
                try:
                    folder.rmdir()
                except OSError:
                    return

    def end_unfinished(self, prefix: str, before: datetime) -> int:
        """As the port says: half-written files lie in a folder of their own, whatever their key."""
        ended = 0
        with self._errors(prefix):
            for left in self._private.glob("tmp*"):
                with suppress(FileNotFoundError):
                    if datetime.fromtimestamp(left.stat().st_mtime, UTC) < before:
                        left.unlink()
                        ended += 1
        return ended

    def _path(self, key: str) -> Path:
        check_key(key)
        if key.partition("/")[0] == _PRIVATE:
            raise InvalidKey(f"key {key!r}: {_PRIVATE} is the store's own folder")
        return self.root / key

    def _opened(self, key: str, if_match: str | None) -> tuple[BinaryIO, ObjectInfo]:
        path = self._path(key)
        with self._errors(key):
            try:
                reader = path.open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise NotFound(f"no object {self.uri}/{key}") from error
            info = _info(key, os.fstat(reader.fileno()))
            if if_match is not None and info.etag != if_match:
                reader.close()
                raise Precondition(f"{self.uri}/{key} has changed")
            return reader, info

    @contextmanager
    def _temporary(self, key: str, data: bytes | BinaryIO, progress: Progress | None = None) -> Iterator[Path]:
        """A finished file with the content, on disk for good, to be linked or renamed to its place."""
        self._path(key)
        self._private.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._private)
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as writer:
                if isinstance(data, bytes | bytearray | memoryview):
                    writer.write(data)
                else:
                    while piece := data.read(_CHUNK):
                        writer.write(piece)
                        if progress is not None:
                            progress(len(piece))
                writer.flush()
                os.fsync(writer.fileno())
            path.chmod(0o644)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _place(self, key: str, source: Path, *, replace: bool) -> ObjectInfo:
        """Under the lock, so that no delete removes the folder, empty for the moment, that this is about to write to."""
        target = self._path(key)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise NotADirectoryError(str(error)) from error
        stat = source.stat()
        if replace:
            source.replace(target)
        else:
            os.link(source, target)
        return _info(key, stat)

    @contextmanager
    def _locked(self, *, shared: bool = False) -> Iterator[None]:
        """Keeps other writers out between the comparison of an etag and the write that relies on it. Writers that only
        add (`shared`) do not wait for each other, only for those that replace or delete."""
        self._private.mkdir(parents=True, exist_ok=True)
        with (self._private / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        where = f"{self.uri}/{key}"
        try:
            yield
        except PermissionError as error:
            raise Denied(f"{where}: no permission to {error.filename}: change its owner or mode") from error
        except (NotADirectoryError, IsADirectoryError) as error:
            raise StorageError(f"{where}: a folder and an object cannot have the same name in a local store") from error
        except OSError as error:
            free = shutil.disk_usage(self.root).free if self.root.exists() else 0
            raise Unavailable(f"{where}: {error.strerror or error} ({free >> 20} MiB free)") from error

    def _children(self, folder: str) -> Sequence[tuple[str, bool]]:
        """Names in `folder` in the order of their keys, in which a folder counts with its slash."""
        try:
            with os.scandir(self.root / folder) as entries:
                found = [(e.name, e.is_dir(follow_symlinks=False)) for e in entries if folder or e.name != _PRIVATE]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda child: f"{child[0]}/" if child[1] else child[0])

    def _walk(self, folder: str, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        for name, is_folder in self._children(folder):
            key = f"{folder}{name}/" if is_folder else f"{folder}{name}"
            if is_folder:
                # Everything below sorts before start_after when the folder does, unless start_after lies inside it.
                relevant = key.startswith(prefix) or prefix.startswith(key)
                if relevant and (key > start_after or start_after.startswith(key)):
                    yield from self._walk(key, prefix, start_after)
            elif key.startswith(prefix) and key > start_after:
                with suppress(FileNotFoundError):
                    yield _info(key, (self.root / key).stat())


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, stat.st_size, _etag(stat), datetime.fromtimestamp(stat.st_mtime, UTC))
