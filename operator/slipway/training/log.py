"""The log of a run: what its process prints goes to the pod's own log and to a file that is kept with the version."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import BinaryIO

LIMIT = 64 << 20
"""Bytes of log that are kept; from a longer one its beginning and its end."""


class LogFile:
    """A file of bounded size that keeps the beginning and the end of what is written. Thread-safe.

    The first half of `limit` goes to the file itself; after that two spare files take turns, so that the last quarter
    to half is always there when `close` puts them together."""

    def __init__(self, path: Path, *, limit: int = LIMIT, echo: BinaryIO | None = None) -> None:
        self.path = path
        self._limit = limit
        self._echo = echo
        self._lock = Lock()
        self._head = path.open("wb")
        self._head_size = 0
        self._tail: BinaryIO | None = None
        self._tail_size = 0
        self._dropped = 0
        self._old = path.with_name(path.name + ".1")
        self._new = path.with_name(path.name + ".2")
        self._closed = False

    def write(self, data: bytes) -> None:
        """Adds bytes to the file, while it is open, and to the echo."""
        with self._lock:
            if self._echo is not None:
                self._echo.write(data)
                self._echo.flush()
            if self._closed:
                return
            room = max(0, self._limit // 2 - self._head_size)
            if data[:room]:
                self._head.write(data[:room])
                self._head.flush()
                self._head_size += len(data[:room])
            if data[room:]:
                self._write_tail(data[room:])

    def line(self, text: str) -> None:
        """A line of Slipway's own, marked as such."""
        self.write(f"slipway: {text}\n".encode())

    def close(self) -> None:
        """Puts the parts together; the file is complete then. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._tail is not None:
                self._tail.close()
                if self._dropped:
                    self._head.write(f"\nslipway: {self._dropped} bytes of the log were left out here\n".encode())
                for part in (self._old, self._new):
                    if part.exists():
                        with part.open("rb") as reader:
                            shutil.copyfileobj(reader, self._head)
                        part.unlink()
            self._head.close()

    def _write_tail(self, data: bytes) -> None:
        if self._tail is None:
            self._tail = self._new.open("wb")
        elif self._tail_size >= self._limit // 4:
            self._tail.close()
            if self._old.exists():
                self._dropped += self._old.stat().st_size
            self._new.replace(self._old)
            self._tail, self._tail_size = self._new.open("wb"), 0
        self._tail.write(data)
        self._tail_size += len(data)


def standard_output() -> BinaryIO:
    """The process's standard output in bytes."""
    return sys.stdout.buffer


def size_text(size: float) -> str:
    """Bytes for people: ``4.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def every(step: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    """A progress callback that calls `tell` with the bytes so far, once per `step` bytes."""
    total, told = 0, 0

    def advance(count: int) -> None:
        nonlocal total, told
        total += count
        if total - told >= step:
            told = total
            tell(total)

    return advance
