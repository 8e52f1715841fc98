"""Feedback: the truth, told later by request id, joined to what was predicted.

    POST /v2/models/<model>/feedback        (or /feedback, when one model is served)
    {"id": "4f1c…", "truth": 1}             one row
    {"id": "4f1c…", "truth": [1, 0, 1]}     one value for each row of the request
    {"feedback": [{"id": …, "truth": …}]}   many at once

The last requests are remembered, so that metrics tell at once how often the model was right, or how far off. Everything is
kept for the join with the payload log, where that is on.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import time
from typing import Any, Final

import numpy as np
import orjson

from slipway.serving.errors import BadInput
from slipway.serving.monitoring import columns
from slipway.serving.monitoring.observer import Observation
from slipway.serving.monitoring.sink import Sink
from slipway.serving.protocol.body import kind_of, read_object
from slipway.serving.signature import Signature
from slipway.serving.tensors import Array
from slipway.training.reference import category

REMEMBERED: Final = 10_000
"""Requests whose prediction is remembered."""
MAX_ROWS: Final = 64
"""Rows of a request that is remembered: larger ones are for the payload log."""
_BETWEEN: Final = "\n"
"""Not in any request's id."""
MAX_ENTRIES: Final = 10_000
MAX_ID: Final = 128
RIGHT, WRONG, UNKNOWN = "right", "wrong", "unknown"

Kept = tuple[str, int, float, str, float | None]
"""Request id, row, time, truth as text, and as a number if it is one."""


class Feedback:
    """Of one model version. Belongs to the event loop's thread."""

    def __init__(self, signature: Signature, sink: Sink | None = None, clock: Callable[[], float] = time) -> None:
        self.sink = sink
        self._clock = clock
        names = [tensor.name for tensor in signature.outputs]
        self._output = names.index("label") if "label" in names else 0
        self._labels = bool(names) and (names[self._output] == "label" or signature.outputs[self._output].datatype == "BYTES")
        self._predicted: OrderedDict[str, Any] = OrderedDict()
        """By request id, as far as somebody asked: a list with one value for each row, or the value of the only one. Plain values and no arrays: those are
        views that keep the outputs of whole batches in memory, which grew by 20 MB."""
        self._unsorted: deque[tuple[str, list[Any]]] = deque()
        """Requests of one row, in one text, and their values, by batch, later than all in `_predicted`: most are never asked about, and
        to let go of a thousand texts one by one when they are no longer in the processor's cache takes longer than to remember them."""
        self._unsorted_rows = 0
        self.outcomes = dict.fromkeys((RIGHT, WRONG, UNKNOWN), 0)
        """Rows by how they came out; ``unknown``: of a request that is not remembered. A number that was predicted is
        neither right nor wrong: see `compared`."""
        self.compared = 0
        """Predicted numbers whose truth is known."""
        self.absolute_error = 0.0
        """The sum over them."""

    def observe(self, batch: Sequence[Observation]) -> None:
        """Remembers what was predicted."""
        self._sort()
        predicted = self._predicted
        for request, inputs, outputs in batch:
            if inputs and len(inputs[0]) <= MAX_ROWS and outputs:
                predicted[request] = outputs[self._output].tolist()
        while len(predicted) > REMEMBERED:
            predicted.popitem(last=False)

    def observe_rows(self, requests: Sequence[str], outputs: Sequence[Array]) -> None:
        """The same for requests of one row each, whose outputs are stacked."""
        self._unsorted.append((_BETWEEN.join(requests), outputs[self._output].tolist()))
        self._unsorted_rows += len(requests)
        while self._unsorted_rows - len(self._unsorted[0][1]) >= REMEMBERED:
            self._unsorted_rows -= len(self._unsorted.popleft()[1])

    def _sort(self) -> None:
        """Files what came as batches by request id."""
        predicted = self._predicted
        while self._unsorted:
            requests, values = self._unsorted.popleft()
            predicted.update(
                zip(
                    requests.split(_BETWEEN),
                    [[value] for value in values] if isinstance(values[0], list) else values,
                    strict=True,
                )
            )
        self._unsorted_rows = 0
        while len(predicted) > REMEMBERED:
            predicted.popitem(last=False)

    def chosen(self, outputs: Sequence[Array]) -> Array:
        """The one of the model's outputs that truth is told about."""
        return outputs[self._output]

    def remember(self, request: str, values: Array) -> None:
        """Remembers what application code predicted, one value for each row."""
        if len(values) <= MAX_ROWS:
            self._sort()
            self._predicted[request] = values.tolist()
            while len(self._predicted) > REMEMBERED:
                self._predicted.popitem(last=False)

    async def answer(self, body: bytes) -> bytes:
        """``POST …/feedback``. Raises BadInput, which names the field; then nothing of the request is kept."""
        entries = read_feedback(read_object(body))
        self._sort()
        now = self._clock()
        joined = 0
        for request, truths in entries:
            joined += self._join(request, truths)
            if self.sink is not None:
                kept = [(request, row, now, _text(truth), _number(truth)) for row, truth in enumerate(truths)]
                self.sink.add(kept, len(kept), sum(len(one[0]) + len(one[3]) + 32 for one in kept))
        return orjson.dumps({"accepted": sum(len(truths) for _, truths in entries), "joined": joined})

    def _join(self, request: str, truths: Sequence[Any]) -> int:
        predicted = self._predicted.get(request)
        if predicted is not None and not isinstance(predicted, list):
            predicted = [predicted]
        if predicted is None or len(predicted) != len(truths):
            self.outcomes[UNKNOWN] += len(truths)
            return 0
        for truth, value in zip(truths, predicted, strict=True):
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
            if type(truth) is bool and type(value) is int:
                truth = int(truth)
            if self._labels or isinstance(value, list | str):
                self.outcomes[RIGHT if category(truth) == category(value) else WRONG] += 1
                continue
            number = _number(truth)
            if number is None:
                self.outcomes[UNKNOWN] += 1
            else:
                self.compared += 1
                self.absolute_error += abs(number - float(value))
        return len(truths)


def read_feedback(body: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Request ids with the truth of each row. Raises BadInput."""
    if "feedback" not in body:
        return [_entry(body, "")]
    entries = body["feedback"]
    if type(entries) is not list or not entries:
        raise BadInput("feedback: a list of one or more objects belongs here")
    if len(entries) > MAX_ENTRIES:
        raise BadInput(f"feedback: {len(entries)} entries, at most {MAX_ENTRIES} in one request")
    return [_entry(entry, f"feedback[{at}].") for at, entry in enumerate(entries)]


def _entry(entry: Any, field: str) -> tuple[str, list[Any]]:
    if type(entry) is not dict:
        raise BadInput(f"{field.rstrip('.')}: an object belongs here, not {kind_of(entry)}")
    request = entry.get("id")
    if type(request) is not str or not 1 <= len(request) <= MAX_ID or not (request.isascii() and request.isprintable()):
        raise BadInput(f"{field}id: the x-request-id of an answer belongs here, 1 to {MAX_ID} printable characters")
    if "truth" not in entry:
        raise BadInput(f"{field}truth: missing: write the value that was right, or a list with one for each row")
    truths = entry["truth"] if type(entry["truth"]) is list else [entry["truth"]]
    if not truths or len(truths) > MAX_ENTRIES:
        raise BadInput(f"{field}truth: {len(truths)} values; 1 to {MAX_ENTRIES} are possible")
    for at, truth in enumerate(truths):
        if type(truth) not in (str, int, float, bool):
            raise BadInput(f"{field}truth[{at}]: a number, a string, true or false belongs here, not {kind_of(truth)}")
        if type(truth) is str and len(truth) > 1000:
            raise BadInput(f"{field}truth[{at}]: {len(truth)} characters, at most 1000")
    return request, truths


def table(kept: Sequence[Sequence[Kept]]) -> columns.Columns:
    """Columns of what was told: ``request_id``, ``row``, ``time``, ``truth``, ``truth_number``."""
    rows = [row for entry in kept for row in entry]
    return {
        "request_id": columns.texts([row[0] for row in rows]),
        "row": columns.values(np.array([row[1] for row in rows], dtype=np.int32)),
        "time": columns.times([row[2] for row in rows]),
        "truth": columns.texts([row[3] for row in rows]),
        "truth_number": columns.numbers([row[4] for row in rows]),
    }


def _text(truth: Any) -> str:
    return category(truth)


def _number(truth: Any) -> float | None:
    return float(truth) if type(truth) in (int, float, bool) else None
