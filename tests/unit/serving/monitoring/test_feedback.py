"""The truth, told later: what is refused, what is joined, what is kept."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from slipway.serving.errors import BadInput
from slipway.serving.monitoring.feedback import MAX_ENTRIES, REMEMBERED, Feedback, read_feedback, table
from slipway.serving.monitoring.sink import Sink
from slipway.serving.signature import Signature, Tensor
from slipway.storage.memory import MemoryStore

CLASSIFIER = Signature(
    (Tensor("input", "FP32", (-1, 2)),), (Tensor("label", "INT64", (-1,)), Tensor("probabilities", "FP32", (-1, 2)))
)
REGRESSOR = Signature((Tensor("input", "FP32", (-1, 2)),), (Tensor("variable", "FP32", (-1, 1)),))


def predicted(feedback: Feedback, request: str, *outputs: Any) -> None:
    arrays = [np.asarray(output) for output in outputs]
    feedback.observe([(request, [np.zeros((len(arrays[0]), 2))], arrays)])


async def tell(feedback: Feedback, body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(await feedback.answer(orjson.dumps(body)))
    return answer


async def test_a_classifier_is_right_or_wrong_by_row() -> None:
    feedback = Feedback(CLASSIFIER)
    predicted(feedback, "a", np.array([1, 0, 1]), np.zeros((3, 2)))
    predicted(feedback, "b", np.array([1]), np.zeros((1, 2)))
    assert await tell(feedback, {"id": "a", "truth": [1, 1, 1]}) == {"accepted": 3, "joined": 3}
    assert await tell(feedback, {"id": "b", "truth": True}) == {"accepted": 1, "joined": 1}
    assert await tell(feedback, {"id": "b", "truth": "1"}) == {"accepted": 1, "joined": 1}
    assert feedback.outcomes == {"right": 4, "wrong": 1, "unknown": 0}


async def test_a_regressor_is_so_far_off() -> None:
    feedback = Feedback(REGRESSOR)
    predicted(feedback, "a", np.array([[1.5], [2.0]]))
    await tell(feedback, {"feedback": [{"id": "a", "truth": [1, 4]}]})
    assert (feedback.compared, feedback.absolute_error) == (2, 2.5)
    await tell(feedback, {"id": "a", "truth": ["high", 2]})
    assert feedback.outcomes["unknown"] == 1


async def test_an_id_that_is_not_remembered_or_does_not_fit_is_kept_and_not_compared() -> None:
    feedback = Feedback(CLASSIFIER)
    predicted(feedback, "a", np.array([1, 0]), np.zeros((2, 2)))
    assert await tell(feedback, {"id": "other", "truth": 1}) == {"accepted": 1, "joined": 0}
    assert await tell(feedback, {"id": "a", "truth": [1]}) == {"accepted": 1, "joined": 0}
    assert feedback.outcomes == {"right": 0, "wrong": 0, "unknown": 2}


def test_memory_of_predictions_is_bounded() -> None:
    feedback = Feedback(CLASSIFIER)
    for n in range(REMEMBERED + 10):
        predicted(feedback, str(n), np.array([1]), np.zeros((1, 2)))
    predicted(feedback, "large", np.ones(1000), np.zeros((1000, 2)))
    assert len(feedback._predicted) == REMEMBERED
    assert "0" not in feedback._predicted
    assert "large" not in feedback._predicted


async def test_what_was_told_is_stored_for_the_join() -> None:
    store = MemoryStore()
    feedback = Feedback(CLASSIFIER, Sink("feedback/m/1", table, store.put), clock=lambda: 1_700_000_000)
    await tell(feedback, {"feedback": [{"id": "a", "truth": [1, 0.5]}, {"id": "b", "truth": "ship"}]})
    assert feedback.sink is not None
    feedback.sink.close(60)
    (info,) = store.list("feedback/m/1/")
    rows = pq.read_table(io.BytesIO(store.get(info.key).data)).to_pylist()
    assert [(row["request_id"], row["row"], row["truth"], row["truth_number"]) for row in rows] == [
        ("a", 0, "1", 1.0),
        ("a", 1, "0.5", 0.5),
        ("b", 0, "ship", None),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7, "truth": 1}, "id"),
        ({"id": "x" * 129, "truth": 1}, "id"),
        ({"id": 'a"}\n{"level": "error"', "truth": 1}, "id"),
        ({"id": "a\x1b[2J", "truth": 1}, "id"),
        ({"id": "a"}, "truth: missing"),
        ({"id": "a", "truth": []}, "truth: 0 values"),
        ({"id": "a", "truth": None}, r"truth\[0\]: .*not null"),
        ({"id": "a", "truth": [1, {}]}, r"truth\[1\]"),
        ({"id": "a", "truth": "x" * 1001}, r"truth\[0\]: 1001 characters"),
        ({"feedback": {}}, "feedback: a list"),
        ({"feedback": []}, "feedback: a list"),
        ({"feedback": [1]}, r"feedback\[0\]: an object"),
        ({"feedback": [{"id": "a", "truth": 1}, {"id": "b"}]}, r"feedback\[1\].truth"),
        ({"feedback": [{"id": "a", "truth": 1}] * (MAX_ENTRIES + 1)}, "feedback: .* at most"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput, match=f"^{field}"):
        read_feedback(body)
