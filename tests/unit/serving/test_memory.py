"""How much memory is left, from what the kernel tells of a container."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.serving import memory
from slipway.serving.memory import memory_left

MIB = 1 << 20
STAT = f"anon 1\ninactive_file {8 * MIB}\nactive_file {2 * MIB}\n"


def group(
    folder: Path, limit: str, used: int, stat: str = STAT, names: tuple[str, str] = ("memory.max", "memory.current")
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(stat)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "statm").write_text("1000 1 1 1 0 1 0\n")
    return folder


def test_a_container_sees_its_limit_at_the_root_and_cache_of_files_is_no_use(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("0::/\n")
    group(tmp_path / "cg", str(100 * MIB), 60 * MIB)
    assert memory_left(tmp_path / "cg", proc) == 50 * MIB


def test_a_group_of_its_own_goes_before_the_root(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("0::/system.slice/slipway.service\n")
    group(tmp_path / "cg", "max", 0)
    group(tmp_path / "cg/system.slice/slipway.service", str(100 * MIB), 99 * MIB)
    assert memory_left(tmp_path / "cg", proc) == 11 * MIB


def test_the_older_hierarchy_is_read_too(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("5:memory:/kubepods/pod1/abc\n3:cpu:/x\n")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(tmp_path / "cg/memory", str(64 * MIB), 32 * MIB, f"total_inactive_file {MIB}\ntotal_active_file {MIB}\n", names)
    assert memory_left(tmp_path / "cg", proc) == 34 * MIB, "its own path is that of the host, the container's is the root"


@pytest.mark.parametrize("limit", ["max", str(1 << 62), "nonsense"])
def test_no_limit_is_none(tmp_path: Path, proc: Path, limit: str) -> None:
    group(tmp_path / "cg", limit, 60 * MIB)
    assert memory_left(tmp_path / "cg", proc) is None
    assert memory_left(tmp_path / "nothing", tmp_path / "nothing") is None


def test_more_than_is_left_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_left", lambda: 20 * MIB)
    memory.demand(MIB - 1, 1000)  # too small to ask
    memory.demand(2 * MIB, 10)
    with pytest.raises(MemoryError, match="20971520 are left"):
        memory.demand(2 * MIB, 11)
    monkeypatch.setattr(memory, "memory_left", lambda: None)
    memory.demand(1 << 40, 16)


FAULTS = """
import resource, sys
from slipway.serving.memory import keep_freed_memory

keep_freed_memory({name: "1" for name in sys.argv[1:]})

def request():
    bodies = [bytes(400_000) for _ in range(8)]

for _ in range(20):
    request()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    request()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 100)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_of_one_large_request_serves_the_next() -> None:
    def faults(*environment: str) -> float:
        ran = subprocess.run([sys.executable, "-c", FAULTS, *environment], capture_output=True, text=True, check=True)
        return float(ran.stdout)

    assert faults() < 10
    assert faults("MALLOC_TRIM_THRESHOLD_") > 100, "who has set something keeps it"
