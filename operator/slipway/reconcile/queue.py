"""The work queue: which resources to look at, each at most once at a time, with back-off per resource after failures.

Built of a pure part (`Schedule`: what is due when, given the time) and a thin asynchronous one (`WorkQueue`: workers
and a timer), so that ordering and back-off are tested without waiting.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from slipway.reconcile.contract import Key
from slipway.reconcile.driver import Outcome
from slipway.telemetry.metrics import OperatorMetrics

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait after the n-th failure in a row: ``base * 2**(n-1)`` up to `cap`, times 1 ± `jitter`."""

    base: float = 0.5
    cap: float = 60.0
    jitter: float = 0.2
    conflicts: int = 5
    """Conflicts in a row that are tried again at once; further ones wait like failures."""

    def seconds(self, failures: int, uniform: Callable[[float, float], float]) -> float:
        raw = min(self.cap, self.base * 2.0 ** min(failures - 1, 30))
        return raw * uniform(1 - self.jitter, 1 + self.jitter)


class Schedule:
    """What is waiting, since when, and what comes later. Times are in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._ready: OrderedDict[Key, float] = OrderedDict()
        self._running: dict[Key, float] = {}
        self._dirty: set[Key] = set()
        self._later: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []

    def add(self, key: Key, now: float) -> bool:
        """Puts `key` in line, unless it is there. While it runs, it is remembered and put in line when done. Says
        whether that was news."""
        if key in self._running:
            news = key not in self._dirty
            self._dirty.add(key)
            return news
        if key in self._ready:
            return False
        self._later.pop(key, None)
        self._ready[key] = now
        return True

    def add_at(self, key: Key, when: float) -> None:
        """Puts `key` in line at `when`; of several times, the earliest counts. One in line already needs none."""
        if key in self._ready or (key in self._later and self._later[key] <= when):
            return
        self._later[key] = when
        heapq.heappush(self._heap, (when, key))

    def due(self, now: float) -> list[Key]:
        """Moves what has become due into line, and tells which."""
        moved = []
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._later.get(key) == when:
                del self._later[key]
                if self.add(key, now):
                    moved.append(key)
        return moved

    def next_due(self) -> float | None:
        """The time of the next timer; None when there is none."""
        while self._heap and self._later.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> tuple[Key, float] | None:
        """The next key to work on and how long it waited; None when nothing waits. `done` must follow."""
        if not self._ready:
            return None
        key, since = self._ready.popitem(last=False)
        self._running[key] = now
        return key, now - since

    def done(self, key: Key, now: float) -> bool:
        """Work on `key` is over. Says whether it became dirty meanwhile and is in line again."""
        del self._running[key]
        if key in self._dirty:
            self._dirty.discard(key)
            self._later.pop(key, None)
            self._ready[key] = now
            return True
        return False

    @property
    def depth(self) -> int:
        return len(self._ready)

    @property
    def running(self) -> int:
        return len(self._running)

    def oldest_wait(self, now: float) -> float:
        """Seconds that the first in line has waited; 0 when nobody waits."""
        return now - next(iter(self._ready.values())) if self._ready else 0.0

    def longest_run(self, now: float) -> float:
        """Seconds that the longest reconcile of the present has taken; 0 when none runs."""
        return now - min(self._running.values()) if self._running else 0.0


Handler = Callable[[Key, int], Awaitable[Outcome]]


class WorkQueue:
    """Runs `handler(key, failures)` for the keys that are added. `resync` is the pause in seconds after which a key is
    looked at again anyway, spread by a tenth."""

    def __init__(
        self,
        handler: Handler,
        metrics: OperatorMetrics,
        *,
        workers: int,
        resync: float,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._handler = handler
        self._metrics = metrics
        self._workers = workers
        self._resync = resync
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._uniform = uniform
        self._schedule = Schedule()
        self._failures: dict[Key, int] = {}
        self._conflicts: dict[Key, int] = {}
        self._wake_workers = asyncio.Semaphore(0)
        self._wake_timer = asyncio.Event()
        self._closing = False

    def add(self, key: Key) -> None:
        """Something may have changed: look at `key` as soon as a worker is free."""
        if not self._closing and self._schedule.add(key, self._clock()):
            self._metrics.queue_added()
            self._in_line(1)

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at `key` in so many seconds, unless something makes that sooner."""
        if not self._closing:
            self._schedule.add_at(key, self._clock() + seconds)
            self._wake_timer.set()

    async def run(self) -> None:
        """Works until cancelled or drained. What a handler raises ends it, and all: only LeaseLost is expected."""
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._timer(), name="queue timer")
            workers = [group.create_task(self._work(), name=f"worker {n}") for n in range(self._workers)]
            await asyncio.wait(workers, return_when=asyncio.ALL_COMPLETED)
            timer.cancel()

    def drain(self) -> None:
        """Takes nothing more and starts nothing more; `run` returns when what is under way is done."""
        self._closing = True
        for _ in range(self._workers):
            self._wake_workers.release()

    def oldest_wait(self) -> float:
        """Seconds that the first in line has waited for a worker."""
        return self._schedule.oldest_wait(self._clock())

    def longest_run(self) -> float:
        """Seconds that the slowest reconcile of the present has taken."""
        return self._schedule.longest_run(self._clock())

    @property
    def depth(self) -> int:
        """Keys in line."""
        return self._schedule.depth

    @property
    def running(self) -> int:
        """Keys that are worked on."""
        return self._schedule.running

    def _in_line(self, count: int) -> None:
        self._metrics.queue_depth(self._schedule.depth)
        for _ in range(count):
            self._wake_workers.release()

    async def _timer(self) -> None:
        while True:
            self._wake_timer.clear()
            moved = self._schedule.due(self._clock())
            if moved:
                self._metrics.queue_added(len(moved))
                self._in_line(len(moved))
            next_due = self._schedule.next_due()
            try:
                async with asyncio.timeout(None if next_due is None else max(0.0, next_due - self._clock())):
                    await self._wake_timer.wait()
            except TimeoutError:
                continue

    async def _work(self) -> None:
        while True:
            await self._wake_workers.acquire()
            if self._closing:
                return
            taken = self._schedule.take(self._clock())
            if taken is None:
                continue
            key, waited = taken
            self._metrics.queue_taken(waited, self._schedule.depth)
            with self._metrics.working(key.kind):
                outcome = await self._handler(key, self._failures.get(key, 0))
            self._metrics.reconciled(key.kind, outcome.word, outcome.after is not None)
            if self._schedule.done(key, self._clock()):
                self._in_line(1)
            self._follow_up(key, outcome)

    def _follow_up(self, key: Key, outcome: Outcome) -> None:
        if outcome.word == "transient":
            failures = self._failures.get(key, 0) + 1
            self._failures[key] = failures
            self._metrics.queue_retried()
            self.add_after(key, max(outcome.after or 0.0, self._backoff.seconds(failures, self._uniform)))
            return
        if outcome.word == "conflict":
            conflicts = self._conflicts.get(key, 0) + 1
            self._conflicts[key] = conflicts
            self._metrics.queue_retried()
            excess = conflicts - self._backoff.conflicts
            if excess <= 0:
                self.add(key)
            else:
                self.add_after(key, self._backoff.seconds(excess, self._uniform))
            return
        self._failures.pop(key, None)
        self._conflicts.pop(key, None)
        if outcome.word != "gone":
            resync = self._resync * self._uniform(0.9, 1.1)
            wish = outcome.after if outcome.word == "success" and outcome.after is not None else resync
            self.add_after(key, min(wish, resync))
