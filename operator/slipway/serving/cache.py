"""Downloads on this machine, in folders named by their digest: shared by all servers that see the folder, and kept to a size.

    <root>/sha256-<hex>/…        the files of a version
    <root>/sha256-<hex>.lock     its size; locked (flock) shared while it is served, alone while it is downloaded
    <root>/.lock                 held while locks and room are given

What is not served is removed, that which was not used for longest first, when a new version needs the room. What is served is
never removed: then the new one goes to a folder of the server's own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from slipway.serving import log

_LOCK = ".lock"


@dataclass
class Lease:
    """A folder that nobody removes before `close`. `private`: it is no part of the cache."""

    folder: Path
    _root: Path
    _file: IO[Any] | None = None
    private: bool = False

    def downloaded(self) -> None:
        """All is there: other servers may use it too."""
        if self._file is not None:
            with _locked(self._root):  # changing a lock lets go of it for a moment
                fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """The folder is not needed any more."""
        if self._file is not None:
            self._file.close()
        if self.private:
            shutil.rmtree(self.folder, ignore_errors=True)


class NoRoom(Exception):
    """What is served leaves too little of the cache."""


class Cache:
    """`limit`: bytes that all versions in it may have; 0: any."""

    def __init__(self, root: Path, limit: int = 0) -> None:
        self.root = root
        self.limit = limit

    def lease(self, digest: str, size: int) -> Lease:
        """A folder for the version `digest` of `size` bytes, to download what is not there yet. Waits while another server
        downloads the same. Where the cache cannot be written, or has no room, the folder is private. Raises OSError."""
        try:
            return self._shared(digest.replace(":", "-"), size)
        except (NoRoom, PermissionError) as error:
            reason = str(error) if isinstance(error, NoRoom) else f"{error.strerror}: it must be writable for user {os.getuid()}"
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            reason = str(error.strerror)
        log.line("the cache is not used: a restart downloads again", level="warning", cache=self.root, reason=reason)
        return Lease(Path(tempfile.mkdtemp(prefix="slipway-model-")), self.root, private=True)

    def _shared(self, name: str, size: int) -> Lease:
        self.root.mkdir(parents=True, exist_ok=True)
        folder, path = self.root / name, self.root / f"{name}{_LOCK}"
        while True:
            with _locked(self.root):
                file = path.open("a+")
                if _alone(file):
                    try:
                        if not (folder.is_dir() and _recorded(path) == size):
                            self._make_room(name, size)
                    except NoRoom:
                        path.unlink()
                        file.close()
                        raise
                    file.truncate(0)
                    file.write(f"{size}\n")
                    file.flush()
                    os.utime(path)
                    return Lease(folder, self.root, file)
            fcntl.flock(file, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                    os.utime(path)
                    return Lease(folder, self.root, file)
            file.close()  # it was removed meanwhile

    def _make_room(self, name: str, size: int) -> None:
        """Raises NoRoom. Called with the cache locked."""
        if not self.limit:
            return
        names = {path.name.removesuffix(_LOCK) for path in self.root.glob("sha256-*")} - {name}
        found = sorted((_used(self.root / f"{other}{_LOCK}"), other) for other in names)
        sizes = {other: _recorded(self.root / f"{other}{_LOCK}") or _size(self.root / other) for other in names}
        total = sum(sizes.values())
        for _, other in found:
            if total + size <= self.limit:
                return
            if self._remove(other):
                total -= sizes[other]
                log.line("removed from the cache", version=other, bytes=sizes[other])
        if total + size > self.limit:
            raise NoRoom(f"{total} of {self.limit} bytes are served from it, {size} more do not fit")

    def _remove(self, name: str) -> bool:
        """Whether nobody serves it, and it is gone."""
        path = self.root / f"{name}{_LOCK}"
        try:
            with path.open("a+") as file:
                if not _alone(file):
                    return False
                if (self.root / name).exists():
                    shutil.rmtree(self.root / name)
                path.unlink()
        except OSError:
            return False
        return True


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with (root / _LOCK).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _alone(file: IO[Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _recorded(path: Path) -> int:
    """The size that a lock file tells; 0 for none."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _used(path: Path) -> float:
    """When it was used last, in seconds; 0 for a folder that was made without a lock."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
