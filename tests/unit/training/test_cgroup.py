from __future__ import annotations

from pathlib import Path

from slipway.training.cgroup import cpu_limit, memory_limit, oom_kills


def test_version_two_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n")
    (tmp_path / "memory.max").write_text("536870912\n")
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert (oom_kills(tmp_path), memory_limit(tmp_path), cpu_limit(tmp_path)) == (1, 536870912, 2)


def test_version_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("268435456\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert (oom_kills(tmp_path), memory_limit(tmp_path), cpu_limit(tmp_path)) == (3, 268435456, 1)


def test_no_limit_is_none(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert (memory_limit(tmp_path), cpu_limit(tmp_path)) == (None, None)
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory.max").unlink()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert memory_limit(tmp_path) is None


def test_a_kernel_that_does_not_tell_is_no_error(tmp_path: Path) -> None:
    assert (oom_kills(tmp_path), memory_limit(tmp_path), cpu_limit(tmp_path)) == (0, None, None)
