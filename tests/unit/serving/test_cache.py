"""The cache of downloads: what is served stays, what is not makes room, and a download is done once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from slipway.serving.cache import Cache, Lease
from slipway.serving.errors import StartError
from slipway.serving.settings import bytes_of


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def put(cache: Cache, number: int, size: int = 100) -> Lease:
    lease = cache.lease(digest(number), size)
    lease.folder.mkdir(exist_ok=True)
    (lease.folder / "model.onnx").write_bytes(bytes(size))
    lease.downloaded()
    return lease


def held(cache: Cache) -> set[int]:
    return {int(path.name.removeprefix("sha256-"), 16) for path in cache.root.glob("sha256-*") if path.is_dir()}


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=300)
    for number in (1, 2, 3):
        put(cache, number).close()
        os.utime(tmp_path / f"sha256-{number:064x}.lock", (number, number))
    put(cache, 1).close()  # used again: 2 is the oldest now
    assert held(cache) == {1, 2, 3}
    put(cache, 4).close()
    assert held(cache) == {1, 3, 4}
    put(cache, 5, size=250).close()
    assert held(cache) == {5}
    assert not list(tmp_path.glob("*[1-4].lock")), "nothing is left of them"


def test_what_is_served_is_never_removed_and_the_limit_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=300)
    serving = [put(cache, 1), put(cache, 2)]
    put(cache, 3).close()
    other = put(Cache(tmp_path, limit=300), 4, size=150)  # of another server: removing 3 is not enough
    assert other.private
    assert other.folder.parent != tmp_path
    assert held(cache) == {1, 2}
    assert (serving[0].folder / "model.onnx").stat().st_size == 100
    serving.pop().close()
    assert not put(cache, 4, size=150).private
    other.close()
    assert not other.folder.exists()


def test_a_version_that_never_fits_is_served_from_a_folder_of_its_own(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=50)
    lease = put(cache, 1)
    assert lease.private
    assert not list(tmp_path.glob("sha256-*"))
    lease.close()


def test_two_servers_that_start_at_once_download_once(tmp_path: Path) -> None:
    first, second = Cache(tmp_path, limit=100), Cache(tmp_path, limit=100)
    downloading = first.lease(digest(1), 100)
    seen: list[bool] = []

    def other() -> None:
        lease = second.lease(digest(1), 100)
        seen.append((lease.folder / "model.onnx").exists())
        lease.close()

    thread = threading.Thread(target=other)
    thread.start()
    downloading.folder.mkdir()
    (downloading.folder / "model.onnx").write_bytes(bytes(100))
    downloading.downloaded()
    thread.join(60)
    assert seen == [True]
    downloading.close()


def test_what_an_earlier_release_left_counts_and_goes_first(tmp_path: Path) -> None:
    old = tmp_path / f"sha256-{9:064x}"
    old.mkdir()
    (old / "model.onnx").write_bytes(bytes(100))
    cache = Cache(tmp_path, limit=250)
    put(cache, 1).close()
    put(cache, 2).close()
    assert held(cache) == {1, 2}


def test_a_folder_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        Cache(tmp_path / "file").lease(digest(1), 1)


@pytest.mark.parametrize(("text", "size"), [("20Gi", 20 << 30), ("1.5M", 1_500_000), ("1048576", 1 << 20), ("2k", 2000)])
def test_sizes_are_written_as_in_kubernetes(text: str, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "20 GB", "-1", "1e9", "Gi"])
def test_other_sizes_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(StartError, match="for example 20Gi"):
        bytes_of(text)
