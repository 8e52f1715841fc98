"""A path that changes while it is uploaded: refused, and at no moment do wrong bytes stand under a digest."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from slipway.registry import Blobs, CorruptBlob, FileChanged
from slipway.storage import Denied, ObjectStore, open_store
from slipway.storage.files import FileStore
from slipway.storage.memory import MemoryStore
from tests.fakes.stores import BUCKET, Weed

MIB = 1 << 20


def in_parts(seaweed: Weed, **more: int) -> ObjectStore:
    """An empty prefix to which a file of some megabytes goes in parts, as one of gigabytes does."""
    return open_store(f"s3://{BUCKET}/{uuid4()}", seaweed.options(part_size=5 * MIB, **more))


@pytest.fixture(params=["memory", "file", "s3"])
def changing_store(request: pytest.FixtureRequest, seaweed: Weed, tmp_path: Path) -> ObjectStore:
    match request.param:
        case "memory":
            return MemoryStore()
        case "file":
            return FileStore(tmp_path / "store")
        case _:
            return in_parts(seaweed)


def overwrite(path: Path) -> None:
    with path.open("r+b") as writer:
        writer.write(b"other bytes, as many")


def overwrite_and_hide_it(path: Path) -> None:
    """As a program does that keeps times of modification."""
    was = path.stat()
    overwrite(path)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def append(path: Path) -> None:
    with path.open("ab") as writer:
        writer.write(b"more")


def shorten(path: Path) -> None:
    os.truncate(path, 100)


def replace(path: Path) -> None:
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[::-1])


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [overwrite, overwrite_and_hide_it, append, shorten, replace, remove])
@pytest.mark.parametrize("size", [1 * MIB, 12 * MIB])
def test_it_is_refused_and_nothing_was_written(
    changing_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, change: Callable[[Path], None]
) -> None:
    """By a writer that may not delete, so that nothing is put right afterwards."""
    path = tmp_path / "model"
    path.write_bytes(random.Random(1).randbytes(size))
    stored = type(changing_store).put_file

    def put_file(self: ObjectStore, key: str, source: Path, **more: object) -> object:
        change(source)
        return stored(self, key, source, **more)  # type: ignore[arg-type]

    def delete(*_: object) -> None:
        raise Denied("s3:DeleteObject")

    monkeypatch.setattr(type(changing_store), "put_file", put_file)
    monkeypatch.setattr(type(changing_store), "delete", delete)
    with pytest.raises(FileChanged, match="model changed while it was being stored: stop its writer"):
        Blobs(changing_store).put_file(path)
    assert list(changing_store.list("")) == []


def test_a_change_between_two_parts_is_seen(seaweed: Weed, tmp_path: Path) -> None:
    store = in_parts(seaweed, parallel_parts=1)
    path = tmp_path / "model"
    path.write_bytes(random.Random(2).randbytes(12 * MIB))
    with pytest.raises(FileChanged):
        Blobs(store).put_file(path, lambda _moved: overwrite(path))
    assert list(store.list("")) == []
    entry = Blobs(store).put_file(path)
    assert Blobs(store).read(entry.digest) == path.read_bytes()


def test_a_blob_that_was_altered_is_put_right_as_the_message_says(changing_store: ObjectStore, tmp_path: Path) -> None:
    path, blobs = tmp_path / "model", Blobs(changing_store)
    path.write_bytes(random.Random(3).randbytes(MIB))
    digest = blobs.put_file(path).digest
    changing_store.put(blobs.key(digest), bytes(MIB))
    with pytest.raises(CorruptBlob, match="or delete it and register the files again"):
        blobs.read(digest)
    changing_store.delete(blobs.key(digest))
    assert blobs.put_file(path).digest == digest
    assert blobs.read(digest) == path.read_bytes()


def come(folder: Path) -> None:
    (folder / "z").write_bytes(b"new")


def go(folder: Path) -> None:
    (folder / "b").unlink()


def write_to_what_is_stored(folder: Path) -> None:
    overwrite(folder / "a")


@pytest.mark.parametrize("change", [come, go, write_to_what_is_stored])
def test_a_folder_that_changes_is_refused(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """The second file is large, so that the first is stored by the time something happens."""
    folder, blobs = tmp_path / "model", Blobs(MemoryStore())
    folder.mkdir()
    for name in "ab":
        (folder / name).write_bytes(name.encode() * MIB)
    moved: list[int] = []

    def progress(count: int) -> None:
        if not moved:
            change(folder)
        moved.append(count)

    with pytest.raises(FileChanged, match=r"(changed|was removed) while .* was being stored"):
        blobs.put_tree(folder, progress, parallel=1)
    assert len(blobs.put_tree(folder)) == len(list(folder.iterdir()))
