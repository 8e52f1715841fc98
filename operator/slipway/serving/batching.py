"""Adaptive batching: requests that are there together run together, and none is made to wait for others.

A request that finds the model idle runs at the end of the event loop's present turn, with all that arrived in that turn; where
several come at a time, as long as each further turn brings more, and there are few. Runs that take longer than a moment go to a
thread, so that health and metrics stay quick; what arrives meanwhile is the next batch. So an idle server adds no delay, and a
busy one fills its batches by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Any, Final, TypeGuard

import numpy as np

from slipway.serving.costs import Costs
from slipway.serving.errors import Busy, ModelFailed
from slipway.serving.formats import Model
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.observer import REQUEST, Observer
from slipway.serving.single import Row, Rows
from slipway.serving.tensors import Array

INLINE_SECONDS = 0.001
"""Runs that are expected to take longer leave the event loop."""
_ENOUGH: Final = 32
"""Requests in a batch that are no longer few: what a run costs whatever its size is small for each of them."""
_GATHER_SECONDS: Final = 0.0005
"""For which a request may at most be left in the queue because others are coming."""

Answer = list[Array] | BaseException
Stacked = Callable[[Sequence["Item | Row"], Sequence[Array]], None]
_ROWS_ALONE: Final = {Row}


class Item:
    """One request's inputs. `finish` is called with it and its outputs, or what was raised. `note` is its owner's."""

    __slots__ = ("arrays", "finish", "gone", "kind", "note", "request", "rows", "since")

    def __init__(
        self, arrays: Sequence[Array], rows: int, finish: Callable[[Any, Answer], None], request: str, note: Any = None
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
        self._outputs = [(tensor, tensor.dtype, tensor.datatype == "BYTES") for tensor in model.signature.outputs]
        self._max_batch = max_batch if stack and model.signature.by_rows else 0
        self._max_queue = max_queue
        self._queue: deque[Item | Row] = deque()
        self._scheduled = False
        self._seen = 0
        """Requests that were in the queue at the last look, while more are gathered."""
        self._several = False
        """Whether the last batch held more than one request."""
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
        self.single: Rows | None = None
        """Stacks and answers batches of nothing but `Row`; needed by who submits these."""

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def submit(self, item: Item | Row) -> None:
        """Queues `item`. Raises Busy."""
        queue = self._queue
        if len(queue) >= self._max_queue:
            raise Busy(len(queue))
        if self._open and type(item) is Item:
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
        if self._more_are_coming():
            loop.call_soon(self._turn, loop)
            return
        self._scheduled = False
        batch = self._next()
        if not batch:
            return
        self._running += 1
        self._metrics.queue_seconds.observe_since([item.since for item in batch], perf_counter())
        stacked = None
        rows = len(batch)
        if self.single is not None:
            if _all_rows(batch):
                stacked = self.single.stack(batch)
            if stacked is None:
                batch = _sifted(batch)
        if stacked is None:
            rows = sum([item.rows for item in batch])
        if not rows:
            self._running -= 1
            self._go_on(loop)
            return
        self._metrics.batch_rows.observe(rows)
        if self._costs.expected(rows) < self._inline:
            self._finish(loop, batch, rows, stacked, self._execute(batch, rows, stacked))
            return
        running = loop.run_in_executor(self._thread, self._execute, batch, rows, stacked)
        running.add_done_callback(lambda done: self._finish(loop, batch, rows, stacked, done.result()))
        self._go_on(loop)

    def _more_are_coming(self) -> bool:
        """Whether the turn brought requests, few as yet, so that the next may bring more. That is asked for nothing where requests
        come one by one, and costs a look at the sockets otherwise: nobody waits for a clock, or for who has asked already."""
        queue = self._queue
        here = len(queue)
        if (
            (self._several or here > 1)
            and self._seen < here < _ENOUGH
            and self._max_batch
            and self._metrics.in_flight() < self._metrics.connections()
            and (not self._seen or perf_counter() - queue[0].since < _GATHER_SECONDS)
        ):
            self._seen = here
            return True
        self._seen = 0
        self._several = here > 1
        return False

    def _next(self) -> Sequence[Item | Row]:
        """The items of the next batch, in the order of their arrival; those whose request has gone are passed over."""
        queue = self._queue
        if len(queue) <= self._max_batch and self.single is not None and _all_rows(queue):
            whole = [row for row in queue if not row.exchange.gone]
            self._queue.clear()
            return whole
        batch: list[Item | Row] = []
        rows = 0
        while queue:
            item = queue[0]
            if batch and (rows + item.rows > self._max_batch or item.kind != batch[0].kind):
                break
            queue.popleft()
            if not item.gone:
                batch.append(item)
                rows += item.rows
        return batch

    def _execute(self, batch: Sequence[Item | Row], rows: int, stacked: Array | None) -> list[Array] | _Each:
        """The stacked outputs, or what each item is answered. When a stacked run fails, each runs alone, so that only the
        culprit fails. `stacked`: the only input, if it has been stacked already."""
        started = perf_counter()
        try:
            if stacked is not None:
                outputs = self._checked([stacked], rows if self._max_batch else None)
            elif len(batch) == 1:
                outputs = self._checked(batch[0].arrays, rows if self._max_batch else None)
            else:
                arrays = [np.concatenate(parts) for parts in zip(*[item.arrays for item in batch], strict=True)]
                outputs = self._checked(arrays, rows)
        except Exception as error:
            return _Each([error] if len(batch) == 1 else [self._alone(item) for item in batch])
        finally:
            self._costs.learn(rows, perf_counter() - started)
        return outputs

    def _alone(self, item: Item | Row) -> Answer:
        try:
            return self._checked(item.arrays, item.rows if self._max_batch else None)
        except Exception as error:
            return error

    def _checked(self, arrays: Sequence[Array], rows: int | None) -> list[Array]:
        outputs = self._model.run(arrays)
        for output, (tensor, dtype, is_text) in zip(outputs, self._outputs, strict=True):
            if output.dtype is not dtype and output.dtype != dtype and not (is_text and output.dtype.kind in "UST"):
                raise ModelFailed(f"output {tensor.name!r} is of {output.dtype}, {tensor.datatype} was promised")
            if rows is not None and (output.ndim == 0 or len(output) != rows):
                there = len(output) if output.ndim else "no"
                raise ModelFailed(f"output {tensor.name!r} has {there} rows for the {rows} that were given")
        return outputs

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: Sequence[Item | Row],
        rows: int,
        stacked: Array | None,
        outputs: list[Array] | _Each,
    ) -> None:
        self._running -= 1
        if stacked is None or isinstance(outputs, _Each):
            self._finish_each(batch, rows, outputs)
        else:
            if not self._answered(batch, outputs):
                self._finish_each(batch, rows, outputs, watched=True)
            if self._observer is not None:
                assert _all_rows(batch)
                self._observer.observe_rows([row.exchange.id for row in batch], [stacked], outputs)
        self._metrics.run_seconds.observe(self._costs.last)
        self._go_on(loop)

    def _answered(self, batch: Sequence[Item | Row], outputs: list[Array]) -> bool:
        """Answers a batch of nothing but rows, if the outputs are such that this can be done at once."""
        assert self.single is not None and _all_rows(batch)
        try:
            return self.single.answer(batch, outputs)
        except Exception as error:
            for row in batch:
                row.finish(row, error)
            return True

    def _finish_each(
        self, batch: Sequence[Item | Row], rows: int, outputs: list[Array] | _Each, *, watched: bool = False
    ) -> None:
        """`watched`: what the observer is told is told elsewhere."""
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
        if self._observer is not None and not watched:
            told = answers if answers or isinstance(outputs, _Each) else _parted(batch, outputs)
            self._observer.observe(
                [(item.request, item.arrays, got) for item, got in zip(batch, told, strict=True) if isinstance(got, list)]
            )

    def _go_on(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queue and not self._scheduled and self._running < self._parallel:
            self._scheduled = True
            loop.call_soon(self._turn, loop)


@dataclass(frozen=True)
class _Each:
    """Answers by item, not outputs by tensor."""

    answers: list[Answer]


def _all_rows(batch: Iterable[Item | Row]) -> TypeGuard[Sequence[Row]]:
    return set(map(type, batch)) == _ROWS_ALONE


def _sifted(batch: Sequence[Item | Row]) -> list[Item]:
    """The requests in `batch` as they are read in the usual way: what looked like a row may be something else. Answers those that
    are wrong."""
    right = []
    for item in batch:
        if isinstance(item, Item):
            right.append(item)
            continue
        try:
            request = item.usual()
            right.append(Item(request.arrays, request.rows, item.finish, item.request, (item.exchange, request)))
        except Exception as error:
            item.finish(item, error)
    return right


def _parted(batch: Sequence[Item | Row], outputs: Sequence[Array]) -> list[Answer]:
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
