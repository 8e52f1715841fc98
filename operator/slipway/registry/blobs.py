"""Immutable files named by their sha256: written once, checked whenever they are read."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import BinaryIO, cast

from slipway.registry.errors import CorruptBlob, FileChanged, MissingBlob, UnsafePath
from slipway.registry.garbage.guard import Guard
from slipway.registry.names import check_digest, check_path
from slipway.registry.records import FileEntry
from slipway.storage.parallel import in_parallel, stoppable
from slipway.storage.port import NotFound, ObjectInfo, ObjectStore, Progress, StorageError, Unavailable
from slipway.storage.stream import CHUNK, read_chunks

SMALL = 128 << 10
"""Bytes up to which writing anew costs less than asking whether it is there."""

REFRESH_AFTER = timedelta(hours=12)
"""Age from which a blob that is stored again is written again: the garbage collector spares young blobs, so what a
writer is about to refer to must look young. Must stay well below the collector's grace period."""


class Blobs:
    """The files of a registry. Thread-safe; all calls block."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self._clock = clock
        self._guard = Guard(store, monotonic=monotonic, pause=pause)
        self._writer = str(uuid.uuid4())

    @staticmethod
    def key(digest: str) -> str:
        """``blobs/sha256/<2 hex>/<hex>``. Raises InvalidDigest."""
        value = check_digest(digest).removeprefix("sha256:")
        return f"blobs/sha256/{value[:2]}/{value}"

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream", *, path: str = "data") -> FileEntry:
        """Stores `data`; the entry's `path` is only a label."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        entry = FileEntry(path=path, digest=digest, size=len(data), media_type=media_type)
        self.secure(digest)
        if len(data) <= SMALL or not self._fresh(digest, len(data)):
            self.store.put(self.key(digest), data, content_type=media_type)
        return entry

    def put_file(
        self,
        path: Path,
        progress: Progress | None = None,
        *,
        name: str | None = None,
        media_type: str = "application/octet-stream",
    ) -> FileEntry:
        """Stores a file of any size in constant memory; nothing is sent when it is there already. `progress` is told of
        all its bytes either way. Raises FileChanged when somebody writes to it meanwhile."""
        before = path.stat()

        def check() -> None:
            if _changed(before, path):
                raise FileChanged(f"{path} changed while it was being stored: stop its writer and try again")

        if before.st_size <= SMALL:
            data = path.read_bytes()
            check()
            entry = self.put_bytes(data, media_type, path=name or path.name)
            if progress is not None:
                progress(entry.size)
            return entry
        with path.open("rb") as reader:
            digest = "sha256:" + hashlib.file_digest(reader, "sha256").hexdigest()
        entry = FileEntry(path=name or path.name, digest=digest, size=before.st_size, media_type=media_type)
        self.secure(digest)
        if self._fresh(digest, entry.size):
            if progress is not None:
                progress(entry.size)
            return entry
        try:
            # Checked before the object is there: bytes that are not those of the digest must never stand under it, not even
            # when this process dies now, or may not delete.
            self.store.put_file(self.key(digest), path, content_type=media_type, progress=progress, check=check)
        except (StorageError, OSError):
            check()  # a file that became shorter, or is gone, cannot be read, and that is the better reason
            raise
        return entry

    def put_tree(self, root: Path, progress: Progress | None = None, *, parallel: int = 8) -> tuple[FileEntry, ...]:
        """Stores all files under the folder `root`, sorted by path. Links to files inside it are followed. Raises
        UnsafePath for a link that leads out, or to nothing; FileChanged when files came, went or were written to meanwhile:
        half of the old and half of the new is no model."""
        files = _files_under(root)
        inside = root.resolve()
        for path in files:
            if path.is_symlink() and not (path.resolve().is_relative_to(inside) and path.exists()):
                raise UnsafePath(f"{path} is a link that leads out of {root}, or to nothing: store the file itself")
        before = {path: path.stat() for path in files if path.is_file()}
        stop = Event()
        told = stoppable(progress, stop)

        def one(path: Path) -> FileEntry:
            try:
                return self.put_file(path, told, name=path.relative_to(root).as_posix())
            except FileNotFoundError as error:
                raise FileChanged(f"{path} was removed while {root} was being stored: stop its writer and try again") from error

        entries = in_parallel(one, list(before), parallel, stop)
        now = _files_under(root)
        if changed := [*set(files) ^ set(now), *(path for path in before if _changed(before[path], path))]:
            raise FileChanged(f"{min(changed)} changed while {root} was being stored: stop its writer and try again")
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def secure(self, digest: str) -> bool:
        """Makes sure that the garbage collector spares the blob, should it be there, while it is being referred to. False
        when the collector was first. Raises Unavailable when that cannot be found out now."""
        return self._guard.secure(check_digest(digest), self._writer)

    def info(self, digest: str) -> ObjectInfo | None:
        """What the store says of a blob; None when it is not there."""
        try:
            return self.store.head(self.key(digest))
        except NotFound:
            return None

    def exists(self, digest: str) -> bool:
        """Whether the blob is there; its bytes are not looked at."""
        return self.info(digest) is not None

    def missing(self, files: Iterable[FileEntry], *, parallel: int = 8) -> list[str]:
        """The digests in `files` whose blob is not there, or has another size; sorted."""
        sizes = {entry.digest: entry.size for entry in files}
        found = in_parallel(self.info, sizes, parallel)
        pairs = zip(sizes.items(), found, strict=True)
        return sorted(digest for (digest, size), info in pairs if info is None or info.size != size)

    def read(self, digest: str) -> bytes:
        """The bytes of a small blob, checked. Raises MissingBlob, CorruptBlob."""
        try:
            data = self.store.get(self.key(digest)).data
        except NotFound as error:
            raise self._missing(digest) from error
        self._check(digest, hashlib.sha256(data).hexdigest(), len(data))
        return data

    def verify(self, digest: str) -> int:
        """Reads the whole blob and gives its size in bytes. Raises MissingBlob, CorruptBlob."""
        return self._copy(digest, lambda _piece: None, None)

    def fetch(self, digest: str, dest: Path, *, progress: Progress | None = None) -> Path:
        """Downloads to the file `dest`, checked before it gets that name: a wrong or half file is never there. A right
        one that is there already is kept. Raises MissingBlob, CorruptBlob."""
        if _holds(dest, check_digest(digest)):
            if progress is not None:
                progress(dest.stat().st_size)
            return dest
        dest.parent.mkdir(parents=True, exist_ok=True)
        with _partial(dest, digest) as (writer, temporary):
            self._complete(digest, writer, progress)
            temporary.chmod(0o644)
            temporary.replace(dest)
        return dest

    def fetch_tree(self, files: Sequence[FileEntry], dest: Path, *, parallel: int = 8, progress: Progress | None = None) -> None:
        """Downloads `files` to their paths under the folder `dest`, checked. Raises UnsafePath before anything is
        written when a path leaves `dest` or two clash; MissingBlob, CorruptBlob."""
        targets = tree_targets([entry.path for entry in files], dest)
        stop = Event()
        told = stoppable(progress, stop)
        dest.mkdir(parents=True, exist_ok=True)

        def one(job: tuple[FileEntry, Path]) -> None:
            self.fetch(job[0].digest, job[1], progress=told)

        in_parallel(one, list(zip(files, targets, strict=True)), parallel, stop)

    def _fresh(self, digest: str, size: int) -> bool:
        """Whether the blob is there, whole, and young enough not to be collected while it is being referred to."""
        info = self.info(digest)
        if info is None or info.size != size:
            return False
        return info.modified is None or self._clock() - info.modified < REFRESH_AFTER

    def _copy(self, digest: str, sink: Callable[[bytes], object], progress: Progress | None) -> int:
        sha256, size = hashlib.sha256(), 0
        try:
            for piece in read_chunks(self.store, self.key(digest), progress=progress, chunk=CHUNK):
                sha256.update(piece)
                size += len(piece)
                sink(piece)
        except NotFound as error:
            raise self._missing(digest) from error
        self._check(digest, sha256.hexdigest(), size)
        return size

    def _complete(self, digest: str, writer: BinaryIO, progress: Progress | None) -> None:
        """Reads what `writer` does not hold yet, after what it holds. Raises MissingBlob, CorruptBlob; then it is empty."""
        sha256, there = hashlib.sha256(), 0
        while piece := writer.read(CHUNK):
            sha256.update(piece)
            there += len(piece)
        if progress is not None and there:
            progress(there)
        size = there
        try:
            for piece in read_chunks(self.store, self.key(digest), offset=there, progress=progress, chunk=CHUNK):
                sha256.update(piece)
                size += len(piece)
                writer.write(piece)
            self._check(digest, sha256.hexdigest(), size)
        except NotFound as error:
            writer.truncate(0)
            raise self._missing(digest) from error
        except CorruptBlob:
            writer.truncate(0)
            if not there:
                raise
            # What an earlier try has left may be what is wrong: once more, from the beginning.
            writer.seek(0)
            self._complete(digest, writer, None)

    def _check(self, digest: str, found: str, size: int) -> None:
        if found != digest.removeprefix("sha256:"):
            raise CorruptBlob(
                f"{self.store.uri}/{self.key(digest)} is corrupt: its {size} bytes have sha256:{found}; "
                "restore that object, or delete it and register the files again"
            )

    def _missing(self, digest: str) -> MissingBlob:
        return MissingBlob(f"no blob {digest} in {self.store.uri}: deleted, or never stored", [digest])


def _files_under(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())


def _changed(before: os.stat_result, path: Path) -> bool:
    """Whether somebody wrote to `path` since, or put another file there; a time of modification that was set back misleads not."""
    try:
        after = path.stat()
    except FileNotFoundError:
        return True
    return any(getattr(before, name) != getattr(after, name) for name in ("st_size", "st_mtime_ns", "st_ctime_ns", "st_ino"))


def tree_targets(paths: Sequence[str], dest: Path) -> list[Path]:
    """Where each of `paths` goes under `dest`. Raises UnsafePath for one that leaves it, that is there twice, that
    is both a file and a folder, or that passes through a link which lies there already."""
    names = {check_path(path) for path in paths}
    if len(names) != len(paths):
        twice = sorted(path for path in set(paths) if paths.count(path) > 1)
        raise UnsafePath(f"path {twice[0]!r} is there twice")
    for name in names:
        for parent in list(name.parents)[:-1]:
            if parent in names:
                raise UnsafePath(f"path {str(parent)!r} is both a file and the folder of {str(name)!r}")
            if (dest / parent).is_symlink():
                raise UnsafePath(f"{dest / parent} is a link: fetch into an empty folder")
    return [dest / path for path in paths]


@contextmanager
def _partial(dest: Path, digest: str) -> Iterator[tuple[BinaryIO, Path]]:
    """A file beside `dest` to download to, with what an earlier try has left in it, at its beginning. It stays when the store
    fails, so that the next try goes on; a second process that downloads the same gets a file of its own."""
    temporary = dest.parent / f".fetch-{digest.removeprefix('sha256:')[:16]}-{dest.name[:60]}"
    writer = cast("BinaryIO", os.fdopen(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b", buffering=0))
    try:
        fcntl.flock(writer, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        writer.close()
        handle, name = tempfile.mkstemp(dir=dest.parent, prefix=".fetch-")
        writer, temporary = cast("BinaryIO", os.fdopen(handle, "r+b", buffering=0)), Path(name)
    keep = False
    try:
        yield writer, temporary
    except (Unavailable, KeyboardInterrupt):
        keep = os.fstat(writer.fileno()).st_size > 0
        raise
    finally:
        if not keep:
            with suppress(FileNotFoundError):
                temporary.unlink()
        writer.close()


def _holds(path: Path, digest: str) -> bool:
    try:
        if path.is_symlink():
            return False
        with path.open("rb") as reader:
            return hashlib.file_digest(reader, "sha256").hexdigest() == digest.removeprefix("sha256:")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
