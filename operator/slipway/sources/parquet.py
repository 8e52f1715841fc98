"""Row counts of Parquet files, from their footers alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def count_rows(paths: Sequence[Path]) -> int | None:
    """The rows of all Parquet files in `paths`. None when other data files are among them (markers such as ``_SUCCESS``
    do not count), when pyarrow is not installed, or when one cannot be read: its reader will say why."""
    data = [path for path in paths if not path.name.startswith(("_", "."))]
    if not data or not all(path.name.lower().endswith((".parquet", ".pq")) for path in data):
        return None
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_metadata
    except ImportError:
        return None
    try:
        return sum(int(read_metadata(path).num_rows) for path in data)
    except (ArrowException, OSError, ValueError):
        return None
