"""SQLite files of rows: what the embedded store keeps in the bucket, and what a machine that reads has a copy of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from slipway.features.online.layout import ORDER_BYTES, event_bytes
from slipway.features.online.port import Rows

_NEWER = f"WHERE substr(excluded.v, 1, {ORDER_BYTES}) > substr(rows.v, 1, {ORDER_BYTES})"
_PUT = f"INSERT INTO rows VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v {_NEWER}"
_MERGE = f"INSERT INTO rows SELECT k, v FROM other.rows WHERE true ON CONFLICT (k) DO UPDATE SET v = excluded.v {_NEWER}"


def create(path: Path, rows: Iterable[Rows]) -> int:
    """A file of `rows`; gives their number. Of several rows of an entity the last in the order is there."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = OFF")
        file.execute("PRAGMA synchronous = OFF")
        file.execute("CREATE TABLE rows (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
        file.execute("BEGIN")
        for keys, values in rows:
            file.executemany(_PUT, zip(keys, values, strict=True))
        file.execute("COMMIT")
        return count(file)


def merge(file: sqlite3.Connection, other: Path, note: str | None = None) -> None:
    """The rows of the file `other` into `file`, whole or not at all. `note`: the name by which `is_merged` knows it."""
    file.execute("ATTACH ? AS other", (f"{other.absolute().as_uri()}?mode=ro&immutable=1",))
    try:
        file.execute("BEGIN IMMEDIATE")
        try:
            file.execute(_MERGE)
            if note is not None:
                file.execute("INSERT OR IGNORE INTO merged VALUES (?)", (note,))
            file.execute("COMMIT")
        except BaseException:
            file.execute("ROLLBACK")
            raise
    finally:
        file.execute("DETACH other")


def drop_old(file: sqlite3.Connection, oldest: datetime) -> None:
    """Lets rows with an event time before `oldest` go."""
    file.execute("DELETE FROM rows WHERE substr(v, 1, 8) < ?", (event_bytes(oldest),))


def count(file: sqlite3.Connection) -> int:
    """Rows of the file."""
    return int(file.execute("SELECT count(*) FROM rows").fetchone()[0])


def open_for_merging(path: Path, *, durable: bool) -> sqlite3.Connection:
    """A connection that writes, one at a time. `durable`: others read meanwhile, and what is written survives a crash."""
    file = sqlite3.connect(path.absolute().as_uri(), uri=True, isolation_level=None, check_same_thread=False, timeout=60)
    file.execute(f"PRAGMA journal_mode = {'WAL' if durable else 'OFF'}")
    file.execute(f"PRAGMA synchronous = {'NORMAL' if durable else 'OFF'}")
    file.execute("PRAGMA cache_size = -16384")
    if durable:
        file.execute("CREATE TABLE IF NOT EXISTS merged (name TEXT PRIMARY KEY)")
    return file


def is_merged(file: sqlite3.Connection, name: str) -> bool:
    """Whether `merge` was called with that note."""
    return file.execute("SELECT 1 FROM merged WHERE name = ?", (name,)).fetchone() is not None
