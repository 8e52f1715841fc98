"""The folder store when the disk says no, and when several processes use it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.storage import Denied, InvalidKey, NotFound, StorageError, Unavailable
from slipway.storage.files import FileStore

WRITER = """
import sys
from pathlib import Path
from slipway.storage import Precondition
from slipway.storage.files import FileStore
store, won = FileStore(Path(sys.argv[1])), 0
for number in range(200):
    try:
        store.put_if_absent(f"v/{number:04d}", sys.argv[2].encode())
        won += 1
    except Precondition:
        pass
print(won)
"""


def test_processes_that_race_share_the_keys_among_them(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)], stdout=subprocess.PIPE, env={"PYTHONPATH": "operator"}
        )
        for number in range(3)
    ]
    won = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    store = FileStore(tmp_path)
    assert sum(won) == len(list(store.list("v/"))) == 200
    for number, count in enumerate(won):
        assert sum(store.get(info.key).data == str(number).encode() for info in store.list("v/")) == count


def test_writing_beside_deleting_loses_nothing(tmp_path: Path) -> None:
    """A delete removes folders that become empty, possibly under the hands of a writer, at any depth."""
    store, done = FileStore(tmp_path), threading.Event()
    problems: list[Exception] = []

    def churn(key: str, write: Callable[[str, bytes], object]) -> None:
        try:
            while not done.is_set():
                write(key, b"")
                store.delete(key)
        except Exception as error:
            problems.append(error)

    writes = {"a/b/c/x": store.put, "a/b/y": store.put_if_absent, "a/b/c/d/e/z": store.put_if_absent}
    threads = [threading.Thread(target=churn, args=pair) for pair in writes.items()]
    for thread in threads:
        thread.start()
    try:
        for number in range(200):
            store.put_if_absent(f"a/b/c/{number % 7}", b"x")
            assert store.get(f"a/b/c/{number % 7}").data == b"x"
            store.delete(f"a/b/c/{number % 7}")
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert problems == []


def test_half_written_files_are_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"old")

    def power_cut(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", power_cut)
    for write in (lambda: store.put("a", b"new"), lambda: store.put_if_absent("b", b"new")):
        with pytest.raises(Unavailable, match=r"No space left on device \(\d+ MiB free\)"):
            write()
    assert store.get("a").data == b"old"
    assert [info.key for info in store.list("")] == ["a"]


def test_a_name_cannot_be_both_a_file_and_a_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"")
    store.put("b/c", b"")
    for write in (lambda: store.put_if_absent("a/b", b""), lambda: store.put("a/b/c", b""), lambda: store.put("b", b"")):
        with pytest.raises(StorageError, match="cannot have the same name"):
            write()
    with pytest.raises(NotFound):
        store.get("a/b")


def test_the_stores_own_folder_is_out_of_reach(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"")
    with pytest.raises(InvalidKey):
        store.put(".slipway-store/lock", b"")
    assert [info.key for info in store.list("")] == ["a"]
    assert list(store.list_folders("")) == []


def test_a_folder_without_permission_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(Denied, match=r"no permission to .*change its owner or mode"):
        FileStore(tmp_path).put("a", b"")
