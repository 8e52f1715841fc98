"""What the kernel says of this container: memory limit, out-of-memory kills, share of CPUs. cgroup v1 and v2."""

from __future__ import annotations

import math
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def oom_kills(root: Path = ROOT) -> int:
    """Processes of this container that the kernel has killed for want of memory; 0 when it does not say."""
    for path in (root / "memory.events", root / "memory" / "memory.oom_control"):
        for line in _lines(path):
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                return int(value)
    return 0


def memory_limit(root: Path = ROOT) -> int | None:
    """The limit in bytes; None when there is none."""
    for path in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        for line in _lines(path):
            if line.isdigit() and int(line) < 1 << 60:
                return int(line)
    return None


def cpu_limit(root: Path = ROOT) -> int | None:
    """CPUs that this container may use, rounded up; None when there is no limit."""
    for line in _lines(root / "cpu.max"):
        quota, _, period = line.partition(" ")
        if quota.isdigit() and period.isdigit():
            return max(1, math.ceil(int(quota) / int(period)))
    quotas, periods = _lines(root / "cpu" / "cpu.cfs_quota_us"), _lines(root / "cpu" / "cpu.cfs_period_us")
    if quotas and periods and quotas[0].isdigit() and periods[0].isdigit():
        return max(1, math.ceil(int(quotas[0]) / int(periods[0])))
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
