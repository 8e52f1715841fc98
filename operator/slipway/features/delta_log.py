"""What there is of a Delta table, read from its log through the storage port alone, in few requests.

The log's own state is in Parquet checkpoints, which take a Delta reader. Instead each ingestion is recorded beside the table
(`slipway.features.ingested`); only what other tools wrote since is read from the log's JSON commits. What cannot be told in
this way is said to be unknown, and not guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from slipway.features.records import Ingestion
from slipway.storage.parallel import in_parallel
from slipway.storage.port import NotFound, ObjectStore

MAX_COMMITS = 50
"""Commits of others that are read; beyond that, rows are not known until the next ingestion records them."""
_PAGE = 1000
_COMMIT = re.compile(r"(\d{20})\.json")


@dataclass(frozen=True)
class TableFacts:
    """A table at one version. `rows`, `newest` (event time) and `written` (last change of rows) are None when not known, and
    then `note` says why."""

    version: int
    rows: int | None = None
    newest: datetime | None = None
    written: datetime | None = None
    note: str = ""
    record: Ingestion | None = None
    """What the last ingestion recorded, at or before `version`."""


EMPTY = TableFacts(-1, 0)
"""Before the first commit."""


def commits_after(store: ObjectStore, folder: str, version: int) -> list[int] | None:
    """Versions above `version` (-1: all that the log still has), ascending. None when `version` itself is no longer in the
    log: the table is another one, or its log was cleaned up. One request for up to a thousand entries."""
    log = f"{folder}/_delta_log/"
    after = f"{log}{version - 1:020d}.json" if version > 0 else ""
    found = []
    for info in store.list(log, start_after=after, limit=None if version < 0 else _PAGE):
        name = _COMMIT.fullmatch(info.key.removeprefix(log))
        if name:
            found.append(int(name[1]))
    if version >= 0 and (not found or found[0] != version):
        return None
    return [number for number in found if number > version]


def facts(
    store: ObjectStore, folder: str, versions: Sequence[int], event_time: str, known: TableFacts, record: Ingestion | None
) -> TableFacts | None:
    """The table at the highest of `versions` (the log's commits after `known`), from what is known, the newest record, and
    the commits behind both. None when there is no table."""
    last = max(versions, default=known.version)
    if last < 0:
        return None
    base = known
    if record is not None and base.version <= record.table_version <= last:
        base = TableFacts(record.table_version, record.table_rows, record.newest_event, record.at, record=record)
    missing = range(base.version + 1, last + 1)
    if not missing:
        return base
    if len(missing) > MAX_COMMITS:
        return _unknown(last, base, f"{len(missing)} commits of other tools since version {base.version}, too many to read")
    if any(number not in versions for number in missing):
        return _unknown(last, base, f"commits before version {last} are no longer in its log")
    texts = in_parallel(lambda number: _read(store, f"{folder}/_delta_log/{number:020d}.json"), list(missing), 8)
    for number, text in zip(missing, texts, strict=True):
        base = _after(base, number, text, event_time)
    return base


def _unknown(version: int, base: TableFacts, note: str) -> TableFacts:
    return TableFacts(version, None, None, None, note, base.record)


def _read(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key).data
    except NotFound:
        return None


def _after(base: TableFacts, version: int, text: bytes | None, event_time: str) -> TableFacts:
    """`base` with one commit more."""
    try:
        actions = [json.loads(line) for line in (text or b"").splitlines() if line.strip()]
    except ValueError:
        actions = []
    if not actions or not all(isinstance(action, dict) for action in actions):
        return _unknown(version, base, f"commit {version} cannot be read")
    made = replace(base, version=version)
    adds = [a["add"] for a in actions if isinstance(a.get("add"), dict) and a["add"].get("dataChange", True)]
    removes = [a["remove"] for a in actions if isinstance(a.get("remove"), dict) and a["remove"].get("dataChange", True)]
    if removes:
        return _unknown(version, base, f"another tool rewrote rows in version {version}")
    if not adds:
        return made
    return _with_rows(made, adds, _time_of(actions), event_time)


def _with_rows(base: TableFacts, adds: Iterable[dict[str, Any]], written: datetime | None, event_time: str) -> TableFacts:
    rows, newest, note = base.rows, base.newest, base.note
    empty = base.rows == 0
    for add in adds:
        stats = _stats(add)
        count = stats.get("numRecords")
        last = _time((stats.get("maxValues") or {}).get(event_time))
        rows = rows + count if rows is not None and isinstance(count, int) else None
        newest = None if last is None or (newest is None and not empty) else max(newest, last) if newest else last
        empty = False
        if rows is None or newest is None:
            note = note or f"files of version {base.version} have no statistics"
    return replace(base, rows=rows, newest=newest, written=written, note=note)


def _stats(add: dict[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(add.get("stats") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _time_of(actions: Iterable[dict[str, Any]]) -> datetime | None:
    for action in actions:
        info = action.get("commitInfo")
        if isinstance(info, dict) and isinstance(info.get("timestamp"), int | float):
            return datetime.fromtimestamp(info["timestamp"] / 1000, UTC)
    return None
