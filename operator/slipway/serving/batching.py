"""Adaptive batching: requests that are there together run together, and none is made to wait for others.

A request that finds the model idle runs at the end of the event loop's present turn, with all that arrived in that turn.
Runs that take longer than a moment go to a thread, so that health and metrics stay quick; what arrives meanwhile is the
next batch. So an idle server adds no delay, and a busy one fills its batches by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter

import numpy as np

from slipway.serving.errors import Busy, ModelFailed
from slipway.serving.formats import Model
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.observer import REQUEST, Observer
from slipway.serving.tensors import Array

INLINE_SECONDS = 0.001
"""Runs that are expected to take longer leave the event loop."""


class _Item:
    """One request's inputs, and where its outputs go."""

    __slots__ = ("answer", "arrays", "kind", "request", "rows", "since")

    def __init__(self, arrays: Sequence[Array], rows: int, answer: asyncio.Future[list[Array]]) -> None:
        self.arrays = arrays
        self.rows = rows
        self.answer = answer
        self.since = perf_counter()
        self.request = REQUEST.get()
        # arrays can be stacked when they differ in their number of rows alone
        self.kind = [array.shape[1:] for array in arrays]


class Batcher:
    """The queue in front of one model. Belongs to the event loop that it is first used on."""

    def __init__(
        self,
        model: Model,
        metrics: Metrics,
        *,
        max_batch: int = 256,
        max_queue: int = 1024,
        stack: bool = True,
        seconds: float = 0.0,
        observer: Observer | None = None,
    ) -> None:
        """`max_batch`: rows that requests are stacked up to (a larger request runs alone). `max_queue`: requests that may
        wait. `stack`: False for a model whose answers depend on the other rows: each request runs alone. `seconds`: what a
        run over one row takes. `observer` sees each answered batch."""
        self._model = model
        self._metrics = metrics
        self._observer = observer
        self._max_batch = max_batch if stack and model.signature.by_rows else 0
        self._max_queue = max_queue
        self._queue: deque[_Item] = deque()
        self._busy = False
        self._costs = Costs()
        self._costs.learn(1, seconds)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    async def predict(self, arrays: Sequence[Array], rows: int) -> list[Array]:
        """The model's outputs for these inputs. Raises Busy, and what the model raises."""
        if len(self._queue) >= self._max_queue:
            raise Busy(len(self._queue))
        loop = asyncio.get_running_loop()
        item = _Item(arrays, rows, loop.create_future())
        self._queue.append(item)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._turn, loop)
        return await item.answer

    def close(self) -> None:
        """Lets the thread go."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs the next batch; called as long as there are any."""
        batch = self._next()
        if not batch:
            self._busy = False
            return
        now = perf_counter()
        for item in batch:
            self._metrics.queue_seconds.observe(now - item.since)
        rows = sum(item.rows for item in batch)
        self._metrics.batch_rows.observe(rows)
        if self._costs.expected(rows) < INLINE_SECONDS:
            self._finish(loop, batch, self._execute(batch))
            return
        running = loop.run_in_executor(self._thread, self._execute, batch)
        running.add_done_callback(lambda done: self._finish(loop, batch, done.result()))

    def _next(self) -> list[_Item]:
        """The items of the next batch, in the order of their arrival; those whose request has gone are passed over."""
        batch: list[_Item] = []
        rows = 0
        while self._queue:
            item = self._queue[0]
            if batch and (rows + item.rows > self._max_batch or item.kind != batch[0].kind):
                break
            self._queue.popleft()
            if not item.answer.done():
                batch.append(item)
                rows += item.rows
        return batch

    def _execute(self, batch: list[_Item]) -> list[list[Array] | BaseException]:
        """What each item is answered. When a stacked run fails, each runs alone, so that only the culprit fails."""
        started = perf_counter()
        try:
            if len(batch) == 1:
                return [self._checked(batch[0].arrays, None)]
            stacked = [np.concatenate(parts) for parts in zip(*(item.arrays for item in batch), strict=True)]
            rows = len(stacked[0])
            outputs = self._checked(stacked, rows)
        except Exception as error:
            return [error] if len(batch) == 1 else [self._execute([item])[0] for item in batch]
        finally:
            self._costs.learn(sum(item.rows for item in batch), perf_counter() - started)
        bounds = np.cumsum([0, *(item.rows for item in batch)]).tolist()
        return [[output[start:stop] for output in outputs] for start, stop in pairwise(bounds)]

    def _checked(self, arrays: Sequence[Array], rows: int | None) -> list[Array]:
        outputs = self._model.run(arrays)
        if rows is not None and any(len(output) != rows for output in outputs):
            raise ModelFailed(f"the model gave another number of rows than the {rows} that it was given")
        return outputs

    def _finish(self, loop: asyncio.AbstractEventLoop, batch: list[_Item], answers: list[list[Array] | BaseException]) -> None:
        for item, answer in zip(batch, answers, strict=True):
            if item.answer.done():
                continue
            if isinstance(answer, BaseException):
                item.answer.set_exception(answer)
            else:
                item.answer.set_result(answer)
        self._metrics.run_seconds.observe(self._costs.last)
        if self._observer is not None:
            answered = zip(batch, answers, strict=True)
            self._observer.observe([(item.request, item.arrays, got) for item, got in answered if isinstance(got, list)])
        if self._queue:
            loop.call_soon(self._turn, loop)
        else:
            self._busy = False


class Costs:
    """How long runs take, learnt by their size: moving averages by powers of two of rows."""

    __slots__ = ("_seconds", "last")

    def __init__(self) -> None:
        self._seconds: list[float | None] = [None] * 40
        self.last = 0.0

    def expected(self, rows: int) -> float:
        """Seconds that a run over `rows` will take: of its size, else of the nearest smaller one in proportion; 0 when
        nothing is known."""
        size = rows.bit_length()
        for smaller in range(size, -1, -1):
            seconds = self._seconds[smaller]
            if seconds is not None:
                return seconds * (1 << (size - smaller))
        return 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """A run over `rows` took `seconds`."""
        self.last = seconds
        size = rows.bit_length()
        known = self._seconds[size]
        self._seconds[size] = seconds if known is None else known + 0.2 * (seconds - known)
