"""Two answers to the same request, row by row. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from slipway.serving.protocol import binary

MAX_ROWS = 100
"""Rows of one answer that are compared: a large request must not keep the interpreter from the others."""

Row = tuple[tuple[Any, ...], tuple[float, ...]]
"""What of a row has to be equal (labels, texts, whole numbers), and its floating point numbers."""


@dataclass(frozen=True)
class Comparison:
    """`distance`: over all rows, the sum of each row's mean absolute difference of floating point numbers."""

    rows: int
    agreed: int
    distance: float = 0.0


class NotComparable(ValueError):
    """No answer of a form that is known."""


def read_rows(body: bytes, json_length: int | None = None) -> list[Row]:
    """The rows of an answer of the v2 protocol (with `json_length` bytes of JSON before binary tensors), of v1, or to records.
    Raises NotComparable."""
    try:
        if json_length is None:
            answer = orjson.loads(body)
            if "outputs" in answer:
                return _of_outputs(
                    [(output["name"], output["datatype"], output["shape"], output["data"]) for output in answer["outputs"]]
                )
            return [_of_value(row) for row in answer["predictions"][:MAX_ROWS]]
        head, tail = binary.split(body, str(json_length))
        return _of_outputs([_binary_output(output, tail) for output in orjson.loads(head)["outputs"]])
    except Exception as error:  # whatever a candidate answers, it ends here
        raise NotComparable(f"{type(error).__name__}: {str(error)[:200]}") from error


Output = tuple[str, str, Sequence[int], Sequence[Any]]
"""Name, datatype, shape and values in one line."""


def _binary_output(output: dict[str, Any], tail: binary.Tail) -> Output:
    name, datatype, shape = output["name"], output["datatype"], output["shape"]
    size = (output.get("parameters") or {}).get("binary_data_size")
    if size is None:
        return name, datatype, shape, output["data"]
    array = binary.from_bytes(tail.take(int(size), name), shape, datatype, datatype, name)
    return name, datatype, shape, array.ravel().tolist()


def _of_outputs(outputs: Sequence[Output]) -> list[Row]:
    """Rows across all outputs, in the order of their names."""
    if not outputs:
        raise ValueError("no outputs")
    count = int(outputs[0][2][0])
    found: list[tuple[list[Any], list[float]]] = [([], []) for _ in range(min(count, MAX_ROWS))]
    for name, datatype, shape, data in sorted(outputs, key=lambda output: output[0]):
        if int(shape[0]) != count or (count and len(data) % count):
            raise ValueError(f"{name}: {len(data)} values are no {count} rows")
        width, floating = len(data) // count if count else 0, _is_floating(datatype)
        for at, (exact, numbers) in enumerate(found):
            values = data[at * width : (at + 1) * width]
            exact.append((name, width))
            (numbers if floating else exact).extend(map(float, values) if floating else values)
    return [(tuple(exact), tuple(numbers)) for exact, numbers in found]


def _is_floating(datatype: str) -> bool:
    return datatype.startswith(("FP", "BF"))


def _of_value(value: Any) -> Row:
    """A row of nested JSON: names and whole numbers have to be equal."""
    exact: list[Any] = []
    numbers: list[float] = []
    _walk(value, exact, numbers)
    return tuple(exact), tuple(numbers)


def _walk(value: Any, exact: list[Any], numbers: list[float]) -> None:
    if isinstance(value, dict):
        for key in sorted(value):
            exact.append((key,))
            _walk(value[key], exact, numbers)
    elif isinstance(value, list):
        for item in value:
            _walk(item, exact, numbers)
    elif isinstance(value, float):
        exact.append(())
        numbers.append(value)
    else:
        exact.append(value)


def compare(stable: Sequence[Row], candidate: Sequence[Row], tolerance: float) -> Comparison:
    """A row with labels agrees when these are equal, whatever its scores; one of floating point numbers alone when each differs
    by at most `tolerance`, or by that part of the larger one. Rows of other forms do not agree."""
    if len(stable) != len(candidate):
        return Comparison(len(stable), 0)
    agreed, distance = 0, 0.0
    for (exact, numbers), (other_exact, other_numbers) in zip(stable, candidate, strict=True):
        alike = len(numbers) == len(other_numbers)
        if alike and numbers:
            differences = [_difference(a, b) for a, b in zip(numbers, other_numbers, strict=True)]
            distance += sum(differences) / len(differences)
            if not _labels(exact):
                alike = all(
                    difference <= tolerance * max(1.0, abs(a), abs(b))
                    for difference, a, b in zip(differences, numbers, other_numbers, strict=True)
                )
        agreed += alike and exact == other_exact
    return Comparison(len(stable), agreed, distance)


def _labels(exact: Sequence[Any]) -> bool:
    """Whether there is more than the names and places of outputs."""
    return any(type(item) is not tuple for item in exact)


def _difference(a: float, b: float) -> float:
    """Of numbers; a NaN equals a NaN, and differs from a number by as much as can be counted."""
    if a == b or (a != a and b != b):
        return 0.0
    difference = abs(a - b)
    return difference if difference < 1e12 else 1e12
