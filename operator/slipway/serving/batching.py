"""Adaptive batching: requests that are there together run together, and none is made to wait for others.

A request that finds the model idle runs at the end of the event loop's present turn, with all that arrived in that turn.
Runs that take longer than a moment go to a thread, so that health and metrics stay quick; what arrives meanwhile is the
next batch. So an idle server adds no delay, and a busy one fills its batches by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from slipway.serving.costs import Costs
from slipway.serving.errors import Busy, ModelFailed
from slipway.serving.formats import Model
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.observer import REQUEST, Observer
from slipway.serving.tensors import Array

INLINE_SECONDS = 0.001
"""Runs that are expected to take longer leave the event loop."""

Answer = list[Array] | BaseException
Stacked = Callable[[Sequence["Item"], Sequence[Array]], None]


class Item:
    """One request's inputs. `finish` is called with it and its outputs, or what was raised. `note` is its owner's."""

    __slots__ = ("arrays", "finish", "gone", "kind", "note", "request", "rows", "since")

    def __init__(
        self, arrays: Sequence[Array], rows: int, finish: Callable[[Item, Answer], None], request: str, note: Any = None
    ) -> None:
        self.arrays = arrays
        self.rows = rows
        self.finish = finish
        self.request = request
        self.note = note
        self.since = perf_counter()
        self.gone = False
        """Nobody waits for the answer any more: the item is passed over."""
        self.kind: Any = None

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self.gone = True


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
        parallel: int = 1,
        inline: bool = True,
    ) -> None:
        """`max_batch`: rows that requests are stacked up to (a larger request runs alone). `max_queue`: requests that may
        wait. `stack`: False for a model whose answers depend on the other rows: each request runs alone. `seconds`: what a
        run over one row takes. `observer` sees each answered batch. `parallel`: runs at the same time.
        `inline`: whether short runs may happen on the event loop."""
        self._model = model
        self._metrics = metrics
        self._observer = observer
        self._max_batch = max_batch if stack and model.signature.by_rows else 0
        self._max_queue = max_queue
        self._queue: deque[Item] = deque()
        self._scheduled = False
        self._running = 0
        self._parallel = parallel
        self._inline = INLINE_SECONDS if inline else 0.0
        self._costs = Costs()
        self._costs.learn(1, seconds)
        self._thread = ThreadPoolExecutor(parallel, thread_name_prefix="model")
        # inputs can be stacked when they differ in their number of rows alone, which fixed shapes settle beforehand
        self._open = any(-1 in tensor.shape[1:] for tensor in model.signature.inputs)
        self.write_stacked: Stacked | None = None
        """Finishes all items of a batch of single rows at once, from the stacked outputs: must call no `finish`."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def submit(self, item: Item) -> None:
        """Queues `item`. Raises Busy."""
        queue = self._queue
        if len(queue) >= self._max_queue:
            raise Busy(len(queue))
        if self._open:
            item.kind = [array.shape[1:] for array in item.arrays]
        queue.append(item)
        if not self._scheduled and self._running < self._parallel:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._turn, loop)

    async def predict(self, arrays: Sequence[Array], rows: int) -> list[Array]:
        """The model's outputs for these inputs. Raises Busy, and what the model raises."""
        answer: asyncio.Future[list[Array]] = asyncio.get_running_loop().create_future()
        item = Item(arrays, rows, _settle, REQUEST.get(), answer)
        self.submit(item)
        try:
            return await answer
        finally:
            item.gone = True

    def close(self) -> None:
        """Lets the thread go, when what is queued has run."""
        self._thread.shutdown(wait=False)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs the next batch; called as long as there are any."""
        self._scheduled = False
        batch = self._next()
        if not batch:
            return
        self._running += 1
        now = perf_counter()
        rows = 0
        waited = self._metrics.queue_seconds.observe
        for item in batch:
            waited(now - item.since)
            rows += item.rows
        self._metrics.batch_rows.observe(rows)
        if self._costs.expected(rows) < self._inline:
            self._finish(loop, batch, rows, self._execute(batch))
            return
        running = loop.run_in_executor(self._thread, self._execute, batch)
        running.add_done_callback(lambda done: self._finish(loop, batch, rows, done.result()))
        self._go_on(loop)

    def _next(self) -> list[Item]:
        """The items of the next batch, in the order of their arrival; those whose request has gone are passed over."""
        batch: list[Item] = []
        rows, queue = 0, self._queue
        while queue:
            item = queue[0]
            if batch and (rows + item.rows > self._max_batch or item.kind != batch[0].kind):
                break
            queue.popleft()
            if not item.gone:
                batch.append(item)
                rows += item.rows
        return batch

    def _execute(self, batch: list[Item]) -> list[Array] | _Each:
        """The stacked outputs, or what each item is answered. When a stacked run fails, each runs alone, so that only the
        culprit fails."""
        started = perf_counter()
        try:
            if len(batch) == 1:
                outputs = self._checked(batch[0].arrays, batch[0].rows if self._max_batch else None)
            else:
                stacked = [np.concatenate(parts) for parts in zip(*[item.arrays for item in batch], strict=True)]
                outputs = self._checked(stacked, len(stacked[0]))
        except Exception as error:
            return _Each([error] if len(batch) == 1 else [self._alone(item) for item in batch])
        finally:
            self._costs.learn(sum([item.rows for item in batch]), perf_counter() - started)
        return outputs

    def _alone(self, item: Item) -> Answer:
        try:
            return self._checked(item.arrays, item.rows if self._max_batch else None)
        except Exception as error:
            return error

    def _checked(self, arrays: Sequence[Array], rows: int | None) -> list[Array]:
        outputs = self._model.run(arrays)
        if rows is not None:
            for output in outputs:
                if len(output) != rows:
                    raise ModelFailed(f"the model gave {len(output)} rows for the {rows} that it was given")
        return outputs

    def _finish(self, loop: asyncio.AbstractEventLoop, batch: list[Item], rows: int, outputs: list[Array] | _Each) -> None:
        self._running -= 1
        answers: Sequence[Answer]
        if isinstance(outputs, _Each):
            answers = outputs.answers
        elif self.write_stacked is not None and len(outputs[0]) == len(batch) and rows == len(batch):
            try:
                self.write_stacked(batch, outputs)
                answers = []
            except Exception as error:
                answers = [error for _ in batch]
        else:
            answers = _parted(batch, outputs)
        for item, answer in zip(batch, answers, strict=False):
            if not item.gone:
                item.finish(item, answer)
        self._metrics.run_seconds.observe(self._costs.last)
        if self._observer is not None:
            told = answers if answers or isinstance(outputs, _Each) else _parted(batch, outputs)
            self._observer.observe(
                [(item.request, item.arrays, got) for item, got in zip(batch, told, strict=True) if isinstance(got, list)]
            )
        self._go_on(loop)

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queue and not self._scheduled and self._running < self._parallel:
            self._scheduled = True
            loop.call_soon(self._turn, loop)


@dataclass(frozen=True)
class _Each:
    """Answers by item, not outputs by tensor."""

    answers: list[Answer]


def _parted(batch: list[Item], outputs: Sequence[Array]) -> list[Answer]:
    """The stacked outputs as one answer for each item."""
    if len(batch) == 1:
        return [list(outputs)]
    bounds = [0]
    for item in batch:
        bounds.append(bounds[-1] + item.rows)
    return [[output[start:stop] for output in outputs] for start, stop in pairwise(bounds)]


def _settle(item: Item, answer: Answer) -> None:
    future: asyncio.Future[list[Array]] = item.note
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
