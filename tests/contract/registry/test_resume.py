"""Downloads go on where they broke off, and large files move in little memory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.registry import Registry
from slipway.storage import ObjectStore, Unavailable
from slipway.storage.memory import Call, MemoryStore
from tests.fakes.stores import ADMIN, BUCKET, Weed, credentials

ROOT = Path(__file__).parents[3]


def left(folder: Path) -> list[Path]:
    return list(folder.glob(".fetch-*"))


def test_a_download_that_broke_off_goes_on(tmp_path: Path) -> None:
    store = MemoryStore()
    data = random.Random(1).randbytes(3 << 20)
    digest = Registry(store).blobs.put_bytes(data).digest
    moved: list[int] = []

    def break_off(moved_now: int) -> None:
        moved.append(moved_now)
        if sum(moved) >= 2 << 20:
            raise KeyboardInterrupt

    blobs = Registry(store).blobs
    with pytest.raises(KeyboardInterrupt):
        blobs.fetch(digest, tmp_path / "m", progress=break_off)
    assert not (tmp_path / "m").exists()
    (partial,) = left(tmp_path)
    held = partial.stat().st_size
    assert held > 0
    offsets: list[int] = []
    opened = store.open
    store.open = lambda key, *, offset=0, if_match=None: (offsets.append(offset), opened(key, offset=offset, if_match=if_match))[
        1
    ]  # type: ignore[method-assign]
    blobs.fetch(digest, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == data
    assert offsets == [held]
    assert left(tmp_path) == []


def test_a_wrong_beginning_is_read_anew(tmp_path: Path) -> None:
    store = MemoryStore()
    data = random.Random(2).randbytes(2 << 20)
    blobs = Registry(store).blobs
    digest = blobs.put_bytes(data).digest
    (tmp_path / f".fetch-{digest.removeprefix('sha256:')[:16]}-m").write_bytes(b"x" * 100_000)
    blobs.fetch(digest, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == data


def test_what_is_missing_leaves_nothing_behind(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no blob"):
        Registry(store).blobs.fetch("sha256:" + "0" * 64, tmp_path / "m")
    assert left(tmp_path) == []


def test_a_dead_store_between_data_and_record_leaves_no_version() -> None:
    store = MemoryStore()
    registry = Registry(store)
    file = registry.blobs.put_bytes(b"weights", path="m")

    def die(call: Call) -> None:
        if "/versions/" in call.key and call.writes:
            raise Unavailable("gone")

    store.before = die
    from slipway.registry.records import VersionDraft

    draft = VersionDraft(model="ns/m", build_id="sha256:" + "1" * 64, reason="t", files=(file,), format="onnx")
    with pytest.raises(Unavailable):
        registry.register(draft)
    store.heal()
    assert registry.latest("ns/m") == 0
    assert registry.register(draft).version == 1


MOVE = """
import resource, sys
from pathlib import Path
from slipway.registry import Registry

def peak():  # KiB of this program alone: getrusage's maximum begins, after exec, at what the parent held
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

registry = Registry.open(sys.argv[1])
entry = registry.blobs.put_bytes(b"warm")
before = peak()
used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_DATA, (used + (400 << 20), used + (400 << 20)))
entry = registry.blobs.put_file(Path(sys.argv[2]))
registry.blobs.fetch(entry.digest, Path(sys.argv[3]))
print((peak() - before) >> 10)
"""


def test_a_file_moves_in_a_fraction_of_its_size(seaweed: Weed, tmp_path: Path) -> None:
    size = 600 << 20
    with (tmp_path / "large").open("wb") as writer:
        writer.truncate(size)
        writer.write(b"not only zeros")
    env = {**os.environ, **credentials(ADMIN), "AWS_ENDPOINT_URL_S3": seaweed.endpoint, "PYTHONPATH": str(ROOT / "operator")}
    command = [sys.executable, "-c", MOVE, f"s3://{BUCKET}/memory", str(tmp_path / "large"), str(tmp_path / "back")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "back").stat().st_size == size
    assert int(done.stdout) < 250, "MiB beyond what the program itself takes"
