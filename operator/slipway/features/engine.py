"""DuckDB, in process: the only importer of `duckdb`. One connection for each piece of work, with bounds on its memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from slipway.features.errors import InvalidRequest
from slipway.training.cgroup import memory_limit

MEMORY_SHARE = 0.5
"""Of the machine's, or the container's, memory: beyond it sorts and joins go to disk."""
MIN_MEMORY = 256 << 20


@contextmanager
def connection(
    *, memory_bytes: int | None = None, threads: int | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A connection, and a folder that it may write to and that goes away with it. It reads no other file, loads no
    extension and knows one time zone: UTC."""
    with tempfile.TemporaryDirectory(prefix="slipway-features-") as folder:
        limit = max(MIN_MEMORY, memory_bytes or int(_memory() * MEMORY_SHARE))
        config: dict[str, Any] = {
            "memory_limit": f"{limit}B",
            "temp_directory": f"{folder}/spill",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        if threads is not None:
            config["threads"] = threads
        made = duckdb.connect(":memory:", config=config)
        try:
            made.execute("SET TimeZone = 'UTC'")
            made.execute(f"SET allowed_directories = ['{folder}']")
            made.execute("SET enable_external_access = false")
            made.execute("SET lock_configuration = true")
            yield made, Path(folder)
        except duckdb.OutOfMemoryException as error:
            raise InvalidRequest(
                f"more memory is needed than {limit >> 20} MiB: give memory_bytes, or fewer rows at a time"
            ) from error
        finally:
            made.close()


def _memory() -> int:
    """Bytes that this process may use: the container's limit, else the machine's memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = memory_limit()
    return machine if limit is None else min(machine, limit)
