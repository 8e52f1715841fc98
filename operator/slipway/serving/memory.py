"""Memory: how much is left, so that what is too large for it is refused with a reason; and giving back what a load left behind."""

from __future__ import annotations

import ctypes
import gc
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc/self")
_FILES = (
    ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)
"""Controller's folder, limit, usage, and the names in ``memory.stat`` of file cache that can be dropped: cgroup v2, then v1."""
_NO_LIMIT = 1 << 60

_KEPT = ((-3, 32 << 20), (-1, 16 << 20), (-2, 1 << 20))
"""M_MMAP_THRESHOLD, which glibc comes to by itself, M_TRIM_THRESHOLD and M_TOP_PAD, in bytes."""

LARGE = 1 << 20
"""Bytes of a body from which on it is worth to ask."""
JSON_FACTOR, BINARY_FACTOR = 16, 3
"""Bytes that reading a byte of a body may take for a while: numbers of two or three digits become objects of 24 bytes, with a
place in a list and one in the parser's own tree; binary tensors are copied once or twice."""


def memory_left(root: Path = CGROUP, proc: Path = PROC) -> int | None:
    """Bytes until the memory limit of the container, or of the process (RLIMIT_AS), whichever comes first; None without a
    limit, or when it cannot be read."""
    known = [left for left in (_of_cgroup(root, proc), _of_process(proc)) if left is not None]
    return min(known, default=None)


def demand(size: int, factor: int) -> None:
    """Raises MemoryError for a body of `size` bytes that could not be read in the memory that is left: where an allocation
    fails, or the kernel ends the container, native code would take the other requests along."""
    if size < LARGE:
        return
    left = memory_left()
    if left is not None and size * factor > left:
        raise MemoryError(f"a body of {size} bytes may take {size * factor} bytes, {left} are left")


def _of_cgroup(root: Path, proc: Path) -> int | None:
    for controller, limit_file, usage_file, cache in _FILES:
        for folder in _folders(root / controller, controller, proc):
            try:
                limit = int((folder / limit_file).read_text())
                used = int((folder / usage_file).read_text())
                stat = dict(line.split(" ", 1) for line in (folder / "memory.stat").read_text().splitlines() if " " in line)
                used -= sum(int(stat.get(name, 0)) for name in cache)
            except (OSError, ValueError):
                continue
            if limit < _NO_LIMIT:
                return max(0, limit - used)
    return None


def _folders(root: Path, controller: str, proc: Path) -> list[Path]:
    """The process' own group, and the root: in a container its own group is mounted there, under whatever name it is known."""
    try:
        lines = [line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines()]
    except OSError:
        return [root]
    own = [path for _, controllers, path in lines if controllers == controller]
    return [*(root / path.lstrip("/") for path in own if path != "/"), root]


def _of_process(proc: Path) -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int((proc / "statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
    return max(0, limit - pages * resource.getpagesize())


def keep_freed_memory(environment: Mapping[str, str]) -> None:
    """Has glibc hold on to some megabytes that were freed. By itself it gives pages back as soon as a large request is answered, and to take
    them again for the next one is a tenth of the work of a binary request of 400 KB. Who has set anything there keeps it."""
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environment):
        return
    with suppress(OSError, AttributeError):  # another C library
        adjust = ctypes.CDLL(None).mallopt
        for what, size in _KEPT:
            adjust(what, size)


def settle_memory() -> None:
    """After a load: collects, lets later collections pass over what stays, and gives free pages back to the system. Takes some
    20 ms."""
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)
