"""Memory: how much the container has left, so that a model too large for it is refused with a reason; and giving back what a
load left behind."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Limit, usage, statistics and the name in these of file cache that can be dropped: cgroup v2, then v1."""
_NO_LIMIT = 1 << 60


def memory_left(root: Path = CGROUP) -> int | None:
    """Bytes until the container's memory limit; None without a limit, or when it cannot be read."""
    for limit_file, usage_file, stat_file, cache in _FILES:
        try:
            limit = int((root / limit_file).read_text())
            used = int((root / usage_file).read_text())
            stat = dict(line.split(" ", 1) for line in (root / stat_file).read_text().splitlines() if " " in line)
            used -= int(stat.get(cache, 0))
        except (OSError, ValueError):
            continue
        return None if limit > _NO_LIMIT else max(0, limit - used)
    return None


def settle_memory() -> None:
    """After a load: collects, lets later collections pass over what stays, and gives free pages back to the system. Takes some
    20 ms."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)
