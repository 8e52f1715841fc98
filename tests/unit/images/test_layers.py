"""Layers: the same files give the same bytes, and nothing leads out of them."""

from __future__ import annotations

import gzip
import os
import shutil
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.images import entries, layer
from slipway.images.errors import FileChanged, UnsafePath


def make_tree(root: Path, when: int) -> Path:
    (root / "pkg").mkdir(parents=True)
    (root / "app.py").write_text("class Service: ...\n")
    (root / "pkg" / "__init__.py").write_text("")
    (root / "pkg" / "größe.txt").write_text("ü")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / "link.py").symlink_to("app.py")
    (root / "large.bin").write_bytes(os.urandom(1) * (3 << 20))
    (root / "large.bin").write_bytes(bytes(range(256)) * (12 << 10))
    for path in [root, *root.rglob("*")]:
        os.utime(path, (when, when), follow_symlinks=False)
    return root


def packed(root: Path, out: Path, **options: int) -> layer.Layer:
    return layer.pack(entries.tree(root, "/slipway/app"), out, **options)  # type: ignore[arg-type]


def test_neither_clock_nor_path_nor_order_nor_processors_change_a_byte(tmp_path: Path) -> None:
    first = packed(make_tree(tmp_path / "one", 1_000_000_000), tmp_path / "1.gz", threads=1)
    other = make_tree(tmp_path / "elsewhere" / "two", 1_700_000_000)
    shutil.copytree(other, tmp_path / "three", symlinks=True, copy_function=shutil.copyfile)
    os.chmod(tmp_path / "three" / "run.sh", 0o755)  # noqa: PTH101
    second = packed(tmp_path / "three", tmp_path / "2.gz", threads=4)
    assert first.digest == second.digest
    assert first.diff_id == second.diff_id
    assert (tmp_path / "1.gz").read_bytes() == (tmp_path / "2.gz").read_bytes()


def test_entries_are_normalised(tmp_path: Path) -> None:
    made = packed(make_tree(tmp_path / "src", 1_000_000_000), tmp_path / "l.gz")
    with tarfile.open(tmp_path / "l.gz") as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == sorted(m.name for m in members)
        assert {(m.uid, m.gid, m.mtime, m.uname) for m in members} == {(0, 0, 0, "")}
        modes = {m.name.rpartition("/")[2]: m.mode for m in members}
        assert (modes["app.py"], modes["run.sh"], modes["pkg"]) == (0o644, 0o755, 0o755)
        assert tar.getmember("slipway/app/link.py").linkname == "app.py"
        assert tar.getmember("slipway").isdir(), "the folders above are there"
    assert len(gzip.decompress((tmp_path / "l.gz").read_bytes())) == made.plain_size


def absolute(root: Path) -> None:
    (root / "bad").symlink_to("/etc/passwd")


def climbing(root: Path) -> None:
    (root / "pkg" / "bad").symlink_to("../../outside")


def chained(root: Path) -> None:
    (root / "a").symlink_to("pkg")
    (root / "pkg" / "b").symlink_to("../../x")


def pipe(root: Path) -> None:
    os.mkfifo(root / "bad")


def deletion(root: Path) -> None:
    (root / ".wh.app.py").write_text("")


def not_utf8(root: Path) -> None:
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_text("")


@pytest.mark.parametrize("spoil", [absolute, climbing, chained, pipe, deletion, not_utf8])
def test_what_leads_out_or_is_no_file_is_refused(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    root = make_tree(tmp_path / "src", 0)
    spoil(root)
    with pytest.raises(UnsafePath):
        packed(root, tmp_path / "l.gz")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(tmp_path / "src", 0)
    monkeypatch.chdir(root)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("bad")
        with pytest.raises(UnsafePath, match="neither file"):
            packed(root, tmp_path / "l.gz")


@pytest.mark.parametrize("path", ["", "/", "a/../b", "./a", "a//b", "..", "a\0b"])
def test_paths_in_an_image(path: str) -> None:
    with pytest.raises(UnsafePath):
        entries.text(path, "")


def test_two_claims_of_one_path_clash(tmp_path: Path) -> None:
    with pytest.raises(UnsafePath, match="twice"):
        layer.pack([entries.text("a", "1"), entries.text("/a", "2")], tmp_path / "l.gz")
    with pytest.raises(UnsafePath, match="folder of"):
        layer.pack([entries.text("a", "1"), entries.text("a/b", "2")], tmp_path / "l.gz")


@pytest.mark.parametrize("size", [10, 40])
def test_a_file_that_changes_while_it_is_packed_is_noticed(size: int, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 20)
    entry = entries.file("f", tmp_path / "f")
    (tmp_path / "f").write_bytes(b"x" * size)
    with pytest.raises(FileChanged, match="while it was being packed"):
        layer.pack([entry], tmp_path / "l.gz")
