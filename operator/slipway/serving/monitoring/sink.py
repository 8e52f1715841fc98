"""Rows to Parquet files in an object store, from a thread of its own: whoever adds rows never waits.

Rows are kept up to a bound and dropped beyond it; drops are counted. A file is written when there are enough rows or the
oldest has waited long enough. A store that does not answer is asked again with growing pauses, while rows keep to the bound.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from slipway.serving import log
from slipway.serving.monitoring.columns import parquet

MEDIA_TYPE: Final = "application/vnd.apache.parquet"
_LOOK_SECONDS: Final = 0.25
_PAUSES: Final = (1.0, 2.0, 5.0, 15.0, 30.0)


@dataclass(frozen=True)
class Bounds:
    """Of a sink: rows and bytes in memory, and when a file is full. Bytes are those of numpy's arrays and of texts, as
    their writer states them."""

    rows: int = 50_000
    size: int = 64 << 20
    file_rows: int = 10_000
    file_seconds: float = 60.0


def _nothing() -> None:
    """Nobody holds anything back."""


_open: set[Sink] = set()


def close_all() -> None:
    """Closes every sink of this process: its end does not lose what is in memory."""
    for sink in list(_open):
        sink.close()


class Sink:
    """One stream of files under ``<prefix>/date=YYYY-MM-DD/<time>-<process>-<number>.parquet``.

    `table` makes columns by name, or an Arrow table, of what was added, on the thread; `put` stores bytes under a key and raises what stores
    raise. Thread-safe."""

    def __init__(
        self,
        prefix: str,
        table: Callable[[Sequence[Any]], Any],
        put: Callable[[str, bytes], object],
        bounds: Bounds | None = None,
        *,
        pauses: Sequence[float] = _PAUSES,
    ) -> None:
        self._prefix, self._table, self._put = prefix, table, put
        self._bounds = bounds or Bounds()
        self._pauses = pauses
        self._waiting: deque[tuple[Any, int, int, float]] = deque()
        self._rows = self._size = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self.gather: Callable[[], None] = _nothing
        """Has its owner add what it still holds back; called now and then on the thread, and before the end."""
        self._process = secrets.token_hex(4)
        self._number = 0
        self.written = 0
        """Rows in files that the store has."""
        self.files = 0
        self.dropped: Counter[str] = Counter()
        """Rows by reason: ``full`` (they came faster than they could be stored), ``failed`` (no file could be made of
        them), ``closed`` (not stored before the end)."""
        self._thread = threading.Thread(target=self._run, name=f"sink {prefix}", daemon=True)
        self._thread.start()
        _open.add(self)

    def add(self, item: Any, rows: int, size: int) -> bool:
        """Takes `item`, of `rows` rows and about `size` bytes; False when it was dropped. Never waits for the store."""
        with self._lock:
            if self._closing or self._rows + rows > self._bounds.rows or self._size + size > self._bounds.size:
                self.dropped["closed" if self._closing else "full"] += rows
                return False
            self._waiting.append((item, rows, size, monotonic()))
            self._rows += rows
            self._size += size
            full = self._rows >= self._bounds.file_rows
        if full:
            self._wake.set()
        return True

    @property
    def waiting(self) -> int:
        """Rows in memory."""
        return self._rows

    def close(self, timeout: float = 10.0) -> None:
        """Stores what is there, for at most `timeout` seconds; the rest is counted as dropped."""
        self.gather()
        with self._lock:
            self._closing = True
        _open.discard(self)
        self._wake.set()
        self._thread.join(timeout)
        with self._lock:
            left = sum(rows for _, rows, _, _ in self._waiting)
            self._waiting.clear()
            self._rows = self._size = 0
            self.dropped["closed"] += left

    def _run(self) -> None:
        failures = 0
        while True:
            pause = self._pauses[min(failures, len(self._pauses)) - 1] if failures else _LOOK_SECONDS
            self._wake.wait(pause)
            self._wake.clear()
            self.gather()
            batch = self._due()
            if not batch:
                if self._closing:
                    return
                continue
            failures = 0 if self._store(batch) else failures + 1
            if self._closing and failures > 1:
                return

    def _due(self) -> list[tuple[Any, int, int, float]]:
        """What the next file is to hold: it stays in the queue until it is stored."""
        with self._lock:
            if not self._waiting:
                return []
            old = monotonic() - self._waiting[0][3] >= self._bounds.file_seconds
            if not (self._closing or old or self._rows >= self._bounds.file_rows):
                return []
            batch, rows = [], 0
            for item in self._waiting:
                batch.append(item)
                rows += item[1]
                if rows >= self._bounds.file_rows:
                    break
            return batch

    def _store(self, batch: list[tuple[Any, int, int, float]]) -> bool:
        rows = sum(rows for _, rows, _, _ in batch)
        try:
            data = parquet(self._table([item for item, _, _, _ in batch]))
        except Exception as error:  # rows that make no table will make none next time
            log.line("rows could not be written as Parquet", level="error", error=error, rows=rows, prefix=self._prefix)
            self._forget(batch, "failed")
            return True
        now = datetime.now(UTC)
        name = f"{now:%H%M%S}-{self._process}-{self._number:06d}.parquet"
        try:
            self._put(f"{self._prefix}/date={now:%Y-%m-%d}/{name}", data)
        except Exception as error:  # the store's own errors, and the network's
            log.line("rows could not be stored; they are kept and tried again", level="warning", reason=str(error), rows=rows)
            return False
        self._number += 1
        self.files += 1
        self.written += rows
        self._forget(batch, "")
        if self._rows >= self._bounds.file_rows or self._closing:
            self._wake.set()
        return True

    def _forget(self, batch: list[tuple[Any, int, int, float]], reason: str) -> None:
        with self._lock:
            if not self._waiting:  # close() has given it up meanwhile, and it is stored after all
                self.dropped["closed"] -= 0 if reason else sum(rows for _, rows, _, _ in batch)
                return
            for _, rows, size, _ in batch:
                self._waiting.popleft()
                self._rows -= rows
                self._size -= size
                if reason:
                    self.dropped[reason] += rows
