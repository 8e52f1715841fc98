"""Content-addressed files over each kind of store: checked whenever they are read."""

from __future__ import annotations

import os
import random
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from slipway.registry import Blobs, CorruptBlob, InvalidDigest, MissingBlob, UnsafePath
from slipway.registry.blobs import REFRESH_AFTER, SMALL
from slipway.registry.records import FileEntry
from slipway.storage import ObjectStore

LARGE = SMALL + 1


@pytest.fixture
def blobs(store: ObjectStore) -> Blobs:
    return Blobs(store)


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


def entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path=path, digest=digest(data), size=len(data))


def files_under(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size", [0, 10, SMALL, LARGE, 3 << 20])
def test_bytes_and_files_come_back_as_they_were(blobs: Blobs, tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(data)
    moved: list[int] = []
    by_bytes = blobs.put_bytes(data, "text/plain", path="file")
    by_file = blobs.put_file(tmp_path / "file", moved.append, media_type="text/plain")
    assert by_bytes == by_file == FileEntry(path="file", digest=digest(data), size=size, media_type="text/plain")
    assert sum(moved) == size
    assert blobs.read(by_file.digest) == data
    assert blobs.fetch(by_file.digest, tmp_path / "out" / "deep" / "file").read_bytes() == data
    assert blobs.verify(by_file.digest) == size


def test_keys_are_as_others_rely_on(blobs: Blobs) -> None:
    stored = blobs.put_bytes(b"abc")
    value = stored.digest.removeprefix("sha256:")
    assert blobs.store.get(f"blobs/sha256/{value[:2]}/{value}").data == b"abc"


def test_what_is_there_is_not_sent_again(blobs: Blobs, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(LARGE)
    (tmp_path / "file").write_bytes(data)
    stored = blobs.put_file(tmp_path / "file")
    before = blobs.info(stored.digest)
    moved: list[int] = []
    blobs.put_file(tmp_path / "file", moved.append)
    blobs.put_bytes(data)
    assert blobs.info(stored.digest) == before
    assert sum(moved) == LARGE, "progress counts what is done, sent or not"


def test_a_half_written_blob_is_written_again(blobs: Blobs, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(LARGE)
    (tmp_path / "file").write_bytes(data)
    blobs.store.put(blobs.key(digest(data)), data[:100])
    assert blobs.missing([entry("file", data)]) == [digest(data)]
    blobs.put_file(tmp_path / "file")
    assert blobs.read(digest(data)) == data
    assert blobs.missing([entry("file", data)]) == []


def test_an_old_blob_is_made_young_before_it_is_referred_to_again(store: ObjectStore) -> None:
    data = bytes(LARGE)
    stored = Blobs(store).put_bytes(data)
    first = Blobs(store).info(stored.digest)
    assert first is not None
    assert first.modified is not None
    later = first.modified + REFRESH_AFTER + timedelta(seconds=1)
    Blobs(store, clock=lambda: later - timedelta(minutes=1)).put_bytes(data)
    assert Blobs(store).info(stored.digest) == first
    put: list[str] = []
    original = store.put
    store.put = lambda key, *a, **k: put.append(key) or original(key, *a, **k)  # type: ignore[method-assign, func-returns-value]
    Blobs(store, clock=lambda: later).put_bytes(data)
    assert put == [Blobs.key(stored.digest)]


@pytest.mark.parametrize(
    "wrong", [b"", b"weight", b"weights!", b"WEIGHTS" * 100_000], ids=["empty", "cut short", "too long", "other"]
)
def test_wrong_bytes_are_never_given_out_and_no_file_is_left(blobs: Blobs, tmp_path: Path, wrong: bytes) -> None:
    stored = blobs.put_bytes(b"weights")
    blobs.store.put(blobs.key(stored.digest), wrong)
    for call in (
        lambda: blobs.read(stored.digest),
        lambda: blobs.fetch(stored.digest, tmp_path / "model"),
        lambda: blobs.verify(stored.digest),
        lambda: blobs.fetch_tree([entry("a/model", b"weights")], tmp_path / "tree"),
    ):
        with pytest.raises(CorruptBlob, match=rf"is corrupt: its {len(wrong)} bytes have sha256"):
            call()
    assert files_under(tmp_path) == {}


def test_a_wrong_file_that_lies_there_is_replaced_and_a_right_one_is_kept(blobs: Blobs, tmp_path: Path) -> None:
    stored = blobs.put_bytes(b"weights")
    target = tmp_path / "model"
    target.write_bytes(b"wrong")
    blobs.fetch(stored.digest, target)
    assert target.read_bytes() == b"weights"
    blobs.store.delete(blobs.key(stored.digest))
    moved: list[int] = []
    blobs.fetch(stored.digest, target, progress=moved.append)
    assert moved == [7]


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(blobs: Blobs, tmp_path: Path) -> None:
    stored = blobs.put_bytes(b"weights")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "model").symlink_to(tmp_path / "precious")
    blobs.fetch(stored.digest, tmp_path / "model")
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "model").read_bytes() == b"weights"
    assert not (tmp_path / "model").is_symlink()


def test_a_missing_blob_is_named(blobs: Blobs, tmp_path: Path) -> None:
    lost = digest(b"lost")
    assert not blobs.exists(lost)
    for call in (lambda: blobs.read(lost), lambda: blobs.fetch(lost, tmp_path / "x"), lambda: blobs.verify(lost)):
        with pytest.raises(MissingBlob, match=lost) as raised:
            call()
        assert raised.value.digests == (lost,)
    assert files_under(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "lost", "sha256:abc", "sha256:" + "Z" * 64, "../../etc/passwd"])
def test_a_malformed_digest_is_refused(blobs: Blobs, text: str) -> None:
    with pytest.raises(InvalidDigest):
        blobs.read(text)


def test_a_tree_comes_back_as_it_was(blobs: Blobs, tmp_path: Path) -> None:
    contents = {"model.onnx": b"1" * LARGE, "a/b/c.txt": b"2", "a/same": b"1" * LARGE, "empty": b"", "späth/日本": b"3"}
    for path, data in contents.items():
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_bytes(data)
    moved: list[int] = []
    files = blobs.put_tree(tmp_path / "in", moved.append)
    assert [file.path for file in files] == sorted(contents)
    assert sum(moved) == sum(len(data) for data in contents.values())
    blobs.fetch_tree(files, tmp_path / "out")
    assert files_under(tmp_path / "out") == contents
    blobs.fetch_tree(files, tmp_path / "out", parallel=1)
    blobs.fetch_tree([], tmp_path / "none")
    assert (tmp_path / "none").is_dir()


def test_links_of_a_tree_are_followed_inside_it_and_refused_beyond(blobs: Blobs, tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (root / "real").write_bytes(b"1")
    (root / "link").symlink_to("real")
    assert [(file.path, file.size) for file in blobs.put_tree(root)] == [("link", 1), ("real", 1)]
    (tmp_path / "secret").write_bytes(b"s")
    for target in (tmp_path / "secret", Path("../secret"), Path("nothing")):
        (root / "bad").symlink_to(target)
        with pytest.raises(UnsafePath, match="leads out"):
            blobs.put_tree(root)
        (root / "bad").unlink()


@pytest.mark.parametrize(
    "paths",
    [["../x"], ["/etc/x"], ["a/../../x"], ["a", "a/b"], ["a", "a"], ["ok", "a\\..\\x"], [""], ["."]],
    ids=lambda paths: repr(paths),
)
def test_a_tree_with_a_climbing_or_clashing_path_writes_nothing(blobs: Blobs, tmp_path: Path, paths: list[str]) -> None:
    blobs.put_bytes(b"x")
    with pytest.raises(UnsafePath):
        blobs.fetch_tree([entry(path, b"x") for path in paths], tmp_path / "deep" / "out")
    assert files_under(tmp_path) == {}


def test_a_tree_is_not_written_through_a_link(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath, match="is a link"):
        blobs.fetch_tree([entry("a/b", b"x")], tmp_path / "out")
    assert files_under(tmp_path / "elsewhere") == {}


def test_files_are_readable_by_other_users_of_the_pod(blobs: Blobs, tmp_path: Path) -> None:
    stored = blobs.put_bytes(b"x")
    mask = os.umask(0o077)
    try:
        assert blobs.fetch(stored.digest, tmp_path / "x").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)
