"""Which rows of columns an expression holds for, and in which order they come. Pure.

A column is a list with one value per row: None, a scalar, or a list of texts of which any may match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from slipway.registry.query.tree import And, Compare, Literal_, Node, Not, Or, Order, Present

Columns = Callable[[str], Sequence[Any]]
"""Gives a field's column; all are equally long, and one that nobody has is all None."""
Test = Callable[[Any], bool]


def matching(node: Node, columns: Columns, rows: int) -> list[int]:
    """The numbers of the rows that `node` holds for, ascending."""
    return list(_rows(node, columns, range(rows)))


def _rows(node: Node, columns: Columns, among: Sequence[int]) -> Sequence[int]:
    """Those of `among` that `node` holds for, in the same order."""
    match node:
        case And(parts=parts):
            for part in parts:
                among = _rows(part, columns, among)
            return among
        case Or(parts=parts):
            found: set[int] = set()
            for part in parts:
                found.update(_rows(part, columns, among))
            return [row for row in among if row in found]
        case Not(inner=inner):
            out = set(_rows(inner, columns, among))
            return [row for row in among if row not in out]
        case Present(field=field):
            column = columns(field)
            return [row for row in among if _present(column[row])]
        case Compare(field=field):
            column, test = columns(field), _test(node)
            return [row for row in among if (value := column[row]) is not None and test(value)]


def _present(value: Any) -> bool:
    return value is not None and value != []


def _test(node: Compare) -> Test:
    single = _like(str(node.values[0])) if node.operator == "like" else _scalar(node)

    def test(value: Any) -> bool:
        return any(map(single, value)) if isinstance(value, list) else single(value)

    return test


def _scalar(node: Compare) -> Test:
    if node.operator == "in":
        if all(isinstance(value, str) for value in node.values):
            texts = frozenset(node.values)
            return lambda value: as_text(value) in texts
        tests = [_scalar(Compare(node.field, "=", (value,))) for value in node.values]
        return lambda value: any(test(value) for test in tests)
    wanted = node.values[0]
    convert = _like_literal(wanted)
    match node.operator:
        case "=":
            return lambda value: convert(value) == wanted
        case "!=":
            return lambda value: convert(value) != wanted
        case "<":
            return lambda value: (got := convert(value)) is not None and got < wanted
        case "<=":
            return lambda value: (got := convert(value)) is not None and got <= wanted
        case ">":
            return lambda value: (got := convert(value)) is not None and got > wanted
        case _:
            return lambda value: (got := convert(value)) is not None and got >= wanted


def _like_literal(wanted: Literal_) -> Callable[[Any], Any]:
    """Values as the literal's type, None where they are of another: text that holds a number counts as one, because
    parameters from elsewhere are often kept as text."""
    if isinstance(wanted, bool):
        return as_bool
    return as_number if isinstance(wanted, float) else as_text


def as_number(value: Any) -> float | None:
    """A number, or text that holds one; else None. NaN is no number."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return value if value == value else None


def as_bool(value: Any) -> bool | None:
    """A boolean, or the words true and false; else None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def as_text(value: Any) -> str:
    """Text; numbers and booleans as a person would write them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


@lru_cache(maxsize=64)
def _pieces(text: str) -> tuple[re.Pattern[str], ...]:
    """What stands between the percent signs, each with its underscores as any one character."""
    piece = (".".join(map(re.escape, part.split("_"))) for part in text.split("%"))
    return tuple(re.compile(part, re.IGNORECASE | re.DOTALL) for part in piece)


def _like(text: str) -> Test:
    """``%`` is any text and ``_`` any one character, as in SQL; the case of letters does not count. Each piece is taken
    where it first occurs: no pattern makes it slow."""
    first, *middle = _pieces(text)

    def test(value: Any) -> bool:
        whole = as_text(value)
        if not middle:
            return first.fullmatch(whole) is not None
        begin = first.match(whole)
        at = begin.end() if begin else -1
        for piece in middle[:-1]:
            found = piece.search(whole, at) if at >= 0 else None
            at = found.end() if found else -1
        length = len(text.rpartition("%")[2])
        return 0 <= at <= len(whole) - length and middle[-1].fullmatch(whole, len(whole) - length) is not None

    return test


def ordered(order: Order, keys: Sequence[Any]) -> list[int]:
    """The positions of `keys` in their order: numbers before texts, what has no value last, equal ones as they came."""

    def rank(position: int) -> tuple[int, float, str]:
        value = keys[position]
        number = as_number(value)
        return (0, number, "") if number is not None else (1, 0.0, as_text(value))

    valued = [position for position, key in enumerate(keys) if _present(key)]
    absent = [position for position, key in enumerate(keys) if not _present(key)]
    return sorted(valued, key=rank, reverse=order.descending) + absent
