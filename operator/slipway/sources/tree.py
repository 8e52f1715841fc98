"""Writing a tree of files that somebody else made: no path leaves the folder, no limit is passed, each file is digested."""

from __future__ import annotations

import hashlib
import posixpath
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from slipway.registry.errors import UnsafePath
from slipway.registry.names import check_path
from slipway.registry.records import FileEntry
from slipway.sources.errors import SourceInvalid


@dataclass(frozen=True)
class Limits:
    """How much a tree may hold: bytes when unpacked, and files."""

    size: int = 512 << 20
    files: int = 20_000


UNLIMITED = Limits(size=1 << 62, files=1 << 30)


class TreeWriter:
    """Writes files below `root`, which may hold some from an earlier try. Thread-safe. `what` names the source in
    errors. Nothing is ever written through a link."""

    def __init__(self, root: Path, what: str, limits: Limits = UNLIMITED) -> None:
        self.root = root
        self._what = what
        self._limits = limits
        self._lock = threading.Lock()
        self._names: set[PurePosixPath] = set()
        self._folders: set[PurePosixPath] = set()
        self._entries: dict[str, FileEntry] = {}
        self._size = 0

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """All files written, sorted by path."""
        return tuple(self._entries[path] for path in sorted(self._entries))

    def write(self, path: str, chunks: Iterable[bytes], *, executable: bool = False) -> FileEntry:
        """Writes one file. Raises SourceInvalid for a path that leaves the folder or clashes, and past a limit."""
        target = self._reserve(path)
        sha256, size = hashlib.sha256(), 0
        with target.open("xb") as writer:
            for chunk in chunks:
                self._grow(len(chunk))
                sha256.update(chunk)
                size += len(chunk)
                writer.write(chunk)
        target.chmod(0o755 if executable else 0o644)
        entry = FileEntry(path=path, digest=f"sha256:{sha256.hexdigest()}", size=size)
        with self._lock:
            self._entries[path] = entry
        return entry

    def can_copy(self, path: str, target: str) -> bool:
        """Whether a link at `path` points at a file that was written already."""
        return self._reached(path, target) in self._entries

    def copy_link(self, path: str, target: str) -> FileEntry:
        """Writes, in place of a symbolic link, a copy of the file that it points at; call it once all files are there.
        Raises SourceInvalid when that is no file of this tree."""
        reached = self._reached(path, target)
        if reached not in self._entries:
            raise SourceInvalid(
                f"{self._what}: {path} is a link to {target[:200]!r}, which is no file in it: replace the link by a file"
            )
        with (self.root / reached).open("rb") as reader:
            return self.write(path, iter(lambda: reader.read(1 << 20), b""))

    @staticmethod
    def _reached(path: str, target: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))

    def _reserve(self, path: str) -> Path:
        try:
            name = check_path(path)
        except UnsafePath as error:
            raise SourceInvalid(f"{self._what}: {error}") from error
        parents = list(name.parents)[:-1]
        with self._lock:
            if name in self._names or name in self._folders:
                raise SourceInvalid(f"{self._what}: {path} is there twice, or both as a file and as a folder")
            if any(parent in self._names for parent in parents):
                raise SourceInvalid(f"{self._what}: {path} lies below a file")
            if len(self._names) >= self._limits.files:
                raise SourceInvalid(f"{self._what}: more than {self._limits.files} files: leave out what is not needed")
            self._names.add(name)
            self._folders.update(parents)
            return self._clear(name)

    def _clear(self, name: PurePosixPath) -> Path:
        """Makes room for a file: its folder, without links in the way, and nothing under its own name."""
        folder = self.root
        folder.mkdir(parents=True, exist_ok=True)
        for part in name.parts[:-1]:
            folder = folder / part
            if folder.is_symlink():
                raise SourceInvalid(f"{folder} is a link: fetch into an empty folder")
            try:
                folder.mkdir(exist_ok=True)
            except FileExistsError as error:
                raise SourceInvalid(f"{folder} is a file: fetch into an empty folder") from error
        target = self.root / name
        if target.is_dir() and not target.is_symlink():
            raise SourceInvalid(f"{target} is a folder: fetch into an empty folder")
        target.unlink(missing_ok=True)
        return target

    def _grow(self, size: int) -> None:
        with self._lock:
            self._size += size
            if self._size > self._limits.size:
                raise SourceInvalid(f"{self._what}: more than {self._limits.size >> 20} MiB when unpacked: put data into inputs")
