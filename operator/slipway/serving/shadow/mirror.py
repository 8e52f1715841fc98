"""Sends copies to a candidate, on threads of its own: whatever the candidate does, nobody waits for it.

What does not fit into the queue is dropped and counted; nothing is sent twice. http.client and threads, because a copy must cost
the event loop no more than putting it into a queue: reading, comparing and waiting happen elsewhere.
"""

from __future__ import annotations

import http.client
import queue
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from slipway.serving.shadow.compare import NotComparable, compare, read_rows

THREADS: Final = 2
MAX_WAITING: Final = 64
MAX_BYTES: Final = 16 << 20
"""Of requests and answers that wait."""
TIMEOUT: Final = 5.0
"""Seconds for one answer of the candidate; a later one is not waited for."""
IDLE: Final = 1.0


@dataclass(frozen=True)
class Copy:
    """A request that a user was answered, and that answer."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    answer: bytes
    json_length: int | None

    @property
    def size(self) -> int:
        return len(self.body) + len(self.answer)


class Mirror:
    """Copies for one candidate. `url` begins with http://. Counters are read at any time; `stop` ends the threads."""

    def __init__(self, candidate: str, url: str, tolerance: float) -> None:
        self.candidate = candidate
        self.tolerance = tolerance
        self.requests: Counter[str] = Counter()
        """compared, failed (the candidate gave an error or something else than an answer), late, dropped."""
        self.rows: Counter[str] = Counter()
        """agree, disagree."""
        self.distance = 0.0
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._waiting: queue.Queue[Copy] = queue.Queue(MAX_WAITING)
        self._bytes = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def offer(self, copy: Copy) -> None:
        """Takes a copy, or drops it. Returns at once, and raises nothing."""
        with self._lock:
            fits = self._bytes + copy.size <= MAX_BYTES
            if fits:
                try:
                    self._waiting.put_nowait(copy)
                    self._bytes += copy.size
                except queue.Full:
                    fits = False
            if not fits:
                self.requests["dropped"] += 1
                return
        if len(self._threads) < THREADS:
            thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Lets the threads end; copies that wait are forgotten."""
        self._stopped.set()

    def _work(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT)
        while not self._stopped.is_set():
            try:
                copy = self._waiting.get(timeout=IDLE)
            except queue.Empty:
                continue
            with self._lock:
                self._bytes -= copy.size
            try:
                self._one(connection, copy)
            except Exception:  # a connection that broke, an answer that is none: no reason to stop
                self._count("late")
                with suppress(OSError):
                    connection.close()
        connection.close()

    def _one(self, connection: http.client.HTTPConnection, copy: Copy) -> None:
        try:
            stable = read_rows(copy.answer, copy.json_length)
        except NotComparable:
            self._count("dropped")
            return
        connection.request("POST", copy.path, copy.body, dict(copy.headers))
        answer = connection.getresponse()
        body = answer.read()
        try:
            if answer.status != 200:
                raise NotComparable(f"status {answer.status}")
            length = answer.headers.get("inference-header-content-length")
            found = compare(stable, read_rows(body, int(length) if length else None), self.tolerance)
        except NotComparable:
            self._count("failed", disagree=len(stable))
            return
        self._count("compared", agree=found.agreed, disagree=found.rows - found.agreed, distance=found.distance)

    def _count(self, result: str, *, agree: int = 0, disagree: int = 0, distance: float = 0.0) -> None:
        with self._lock:
            self.requests[result] += 1
            self.rows["agree"] += agree
            self.rows["disagree"] += disagree
            self.distance += distance

    def families(self) -> Iterator[Any]:
        """For Prometheus."""
        from prometheus_client.core import CounterMetricFamily

        with self._lock:
            requests, rows, distance = dict(self.requests), dict(self.rows), self.distance
        family = CounterMetricFamily(
            "slipway_shadow_requests", "Copies of requests, by what became of them.", labels=("candidate", "result")
        )
        for result in ("compared", "failed", "late", "dropped"):
            family.add_metric((self.candidate, result), requests.get(result, 0))
        yield family
        family = CounterMetricFamily("slipway_shadow_rows", "Rows that were answered twice.", labels=("candidate", "result"))
        for result in ("agree", "disagree"):
            family.add_metric((self.candidate, result), rows.get(result, 0))
        yield family
        family = CounterMetricFamily(
            "slipway_shadow_distance", "Mean absolute difference of numbers, summed over rows.", labels=("candidate",)
        )
        family.add_metric((self.candidate,), distance)
        yield family
