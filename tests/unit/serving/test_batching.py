"""Batches: whose answer is whose, who waits for whom, and who is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from slipway.serving.batching import Answer, Batcher, Item
from slipway.serving.errors import Busy, ModelFailed
from slipway.serving.metrics import Metrics
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import Array


class Doubling:
    """Doubles its input. Remembers the rows of each run; can be held up, and stumbles over -1."""

    format = "test"

    def __init__(self, inputs: tuple[Tensor, ...] = (Tensor("X", "FP32", (-1, 2)),)) -> None:
        self.signature = Signature(inputs, (Tensor("Y", "FP32", (-1, 2)),))
        self.runs: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        self.gate.wait(10)
        self.runs.append(len(arrays[0]))
        if (arrays[0] == -1).any():
            raise ModelFailed("-1")
        return [arrays[0] * 2]


class Misshaping(Doubling):
    """Gives `wrong` for a run in which there is a -2."""

    def __init__(self, wrong: Array) -> None:
        super().__init__()
        self.wrong = wrong

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        return [self.wrong] if (arrays[0] == -2).any() else super().run(arrays)


def rows(*values: float) -> list[Array]:
    return [np.array([[value, value + 0.5] for value in values], dtype=np.float32)]


def test_every_row_comes_back_to_who_sent_it() -> None:
    """Requests of all sizes at the same time; each row is tagged."""
    model, metrics = Doubling(), Metrics()

    async def main() -> None:
        batcher = Batcher(model, metrics, max_batch=32)

        async def ask(number: int) -> None:
            sent = rows(*[number * 100 + at for at in range(number % 7 + 1)])
            await asyncio.sleep(0.0001 * (number % 5))
            (got,) = await batcher.predict(sent, len(sent[0]))
            np.testing.assert_array_equal(got, sent[0] * 2)

        await asyncio.gather(*(ask(number) for number in range(1, 400)))

    asyncio.run(main())
    assert sum(model.runs) == sum(number % 7 + 1 for number in range(1, 400))
    assert max(model.runs) <= 32
    assert len(model.runs) < 200, "requests that are there together run together"
    assert sum(metrics.batch_rows.counts) == len(model.runs)


def test_a_lone_request_does_not_wait_for_others() -> None:
    model = Doubling()

    async def main() -> int:
        batcher = Batcher(model, Metrics())
        answer = asyncio.ensure_future(batcher.predict(rows(1), 1))
        turns = 0
        while not answer.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(main()) <= 4, "turns of the loop, without any timer"


@pytest.mark.parametrize(
    ("connections", "runs"),
    [
        pytest.param(3, [3], id="who comes a turn later joins where others may come"),
        pytest.param(2, [2, 1], id="nobody waits when all have asked"),
        pytest.param(0, [2, 1], id="nor when it is not known who could ask"),
    ],
)
def test_several_that_come_one_turn_after_another_run_together(connections: int, runs: list[int]) -> None:
    model, metrics = Doubling(), Metrics()
    answers: list[Answer] = []
    metrics.connections, metrics.in_flight = lambda: connections, lambda: 2

    async def main() -> int:
        batcher = Batcher(model, metrics)

        def ask(value: float) -> None:
            batcher.submit(Item(rows(value), 1, lambda _item, answer: answers.append(answer), ""))

        ask(1)
        ask(2)
        asyncio.get_running_loop().call_soon(ask, 3)  # in the turn that would run the first two
        turns = 0
        while len(answers) < 3:
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(main()) <= 4
    assert model.runs == runs
    assert [answer[0][0, 0] for answer in answers if isinstance(answer, list)] == [2, 4, 6]


def test_requests_that_keep_coming_do_not_hold_back_who_came_first() -> None:
    """One more in each turn, for ever: as many run together as are no longer few, or as come in half a millisecond."""
    model, metrics = Doubling(), Metrics()
    metrics.connections, metrics.in_flight = lambda: 10_000, lambda: 1

    async def main() -> int:
        batcher = Batcher(model, metrics)
        asked = [asyncio.ensure_future(batcher.predict(rows(at), 1)) for at in range(2)]
        while not asked[0].done():
            asked.append(asyncio.ensure_future(batcher.predict(rows(0), 1)))
            await asyncio.sleep(0)
        for answer in asked:
            await answer
        return len(asked)

    assert asyncio.run(main()) < 50
    assert 3 <= model.runs[0] <= 33


def test_a_culprit_fails_alone() -> None:
    async def main() -> list[list[Array] | BaseException]:
        batcher = Batcher(Doubling(), Metrics())
        asked = [batcher.predict(rows(value), 1) for value in (1, -1, 3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = asyncio.run(main())
    assert isinstance(second, ModelFailed)
    assert isinstance(first, list)
    assert isinstance(third, list)
    assert (first[0][0, 0], third[0][0, 0]) == (2, 6)


def test_more_than_may_wait_are_refused_with_a_time_to_come_back() -> None:
    model = Doubling()

    async def main() -> tuple[list[object], Batcher]:
        batcher = Batcher(model, Metrics(), max_queue=3, seconds=1.0)  # slow, so on the thread
        model.gate.clear()
        first = asyncio.ensure_future(batcher.predict(rows(0), 1))
        await asyncio.sleep(0.01)
        waiting = [asyncio.ensure_future(batcher.predict(rows(at), 1)) for at in range(5)]
        await asyncio.sleep(0.01)
        model.gate.set()
        return await asyncio.gather(first, *waiting, return_exceptions=True), batcher

    answers, batcher = asyncio.run(main())
    refused = [answer for answer in answers if isinstance(answer, Busy)]
    assert len(refused) == 2
    assert (refused[0].status, refused[0].headers) == (429, (("retry-after", "1"),))
    assert batcher.waiting == 0


def test_a_request_that_has_left_is_not_run() -> None:
    model = Doubling()

    async def main() -> list[Answer]:
        batcher = Batcher(model, Metrics(), seconds=1.0)
        model.gate.clear()
        answers: list[Answer] = []
        items = [Item(rows(at), 1, lambda _, answer: answers.append(answer), "", None) for at in range(3)]
        for item in items:
            batcher.submit(item)
            await asyncio.sleep(0.01)
        items[1].leave()
        model.gate.set()
        while len(answers) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return answers

    assert len(asyncio.run(main())) == 2
    assert sum(model.runs) == 2


def test_shapes_that_differ_beyond_their_rows_run_apart() -> None:
    model = Doubling((Tensor("X", "FP32", (-1, -1)),))

    async def main() -> None:
        batcher = Batcher(model, Metrics())
        wide = [np.ones((1, 3), dtype=np.float32)]
        narrow = [np.ones((1, 2), dtype=np.float32)]
        got = await asyncio.gather(*(batcher.predict(one, 1) for one in (wide, narrow, narrow, wide)))
        assert [answer[0].shape for answer in got] == [(1, 3), (1, 2), (1, 2), (1, 3)]

    asyncio.run(main())
    assert model.runs == [1, 2, 1]


@pytest.mark.parametrize("parallel", [1, 3])
def test_runs_at_the_same_time_are_as_many_as_allowed(parallel: int) -> None:
    model = Doubling()
    model.runs = []

    async def main() -> int:
        batcher = Batcher(model, Metrics(), max_batch=1, parallel=parallel, inline=False)
        model.gate.clear()
        asked = [asyncio.ensure_future(batcher.predict(rows(at), 1)) for at in range(8)]
        await asyncio.sleep(0.05)
        left = batcher.waiting
        model.gate.set()
        got = await asyncio.gather(*asked)
        assert [answer[0][0, 0] for answer in got] == [2.0 * at for at in range(8)]
        return left

    assert asyncio.run(main()) == 8 - parallel


WRONG = {
    "too few rows": (np.zeros((0, 2), np.float32), "has 0 rows for the 1"),
    "too many rows": (np.zeros((7, 2), np.float32), "has 7 rows for the 1"),
    "no rows at all": (np.zeros((), np.float32), "has no rows for the 1"),
    "whole numbers where floats were promised": (np.zeros((1, 2), np.int64), "is of int64, FP32 was promised"),
    "objects": (np.array([[None, None]], dtype=object), "is of object, FP32 was promised"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_answer_of_another_shape_or_type_fails_alone(case: str) -> None:
    """It is not taken for somebody else's rows, and not sent as bytes of another type."""
    wrong, words = WRONG[case]

    async def main() -> list[list[Array] | BaseException]:
        batcher = Batcher(Misshaping(wrong), Metrics())
        return await asyncio.gather(*(batcher.predict(rows(value), 1) for value in (1, -2, 3)), return_exceptions=True)

    first, culprit, last = asyncio.run(main())
    assert isinstance(culprit, ModelFailed)
    assert words in str(culprit)
    for value, got in ((1, first), (3, last)):
        assert isinstance(got, list)
        np.testing.assert_array_equal(got[0], rows(value)[0] * 2)
