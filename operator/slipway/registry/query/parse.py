"""From the text of an expression to its tree, by recursive descent. Pure.

``or`` binds least, then ``and``, then ``not``; words of the language may be written in any case. A name that holds other
characters than letters, digits and ``_ . / : -`` stands in double quotes or backticks: ``metrics."val auc" > 0.9``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from slipway.registry.errors import closest
from slipway.registry.query.tree import (
    EVERYTHING,
    FIELDS,
    MAPS,
    TIMES,
    And,
    Compare,
    InvalidQuery,
    Literal_,
    Node,
    Not,
    Operator,
    Or,
    Order,
    Present,
)

MAX_LENGTH = 10_000
MAX_DEPTH = 50
KEYWORDS = frozenset({"and", "or", "not", "in", "like", "is", "null", "true", "false"})
COMPARISONS: dict[str, Operator] = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<time>\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?:Z|[+-]\d{2}:\d{2})?(?![\w.]))
    |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<text>'(?:[^']|'')*')
    |(?P<name>[^\W\d][\w/:.-]*(?:"[^"]*"|`[^`]*`)?|"[^"]*"|`[^`]*`)
    |(?P<operator><=|>=|<>|!=|==|[=<>(),])""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


def parse(expression: str) -> Node:
    """The tree of `expression`; an empty one holds everywhere. Raises InvalidQuery."""
    if len(expression) > MAX_LENGTH:
        raise InvalidQuery(f"the expression is {len(expression)} characters long, at most {MAX_LENGTH}")
    reader = _Reader(expression)
    if reader.peek().kind == "end":
        return EVERYTHING
    node = reader.alternatives(0)
    if reader.peek().kind != "end":
        reader.fail("'and', 'or' or the end")
    return node


def parse_order(text: str) -> Order:
    """``metrics.auc`` or ``-metrics.auc``: a minus for the largest first. Raises InvalidQuery."""
    descending = text.startswith("-")
    reader = _Reader(text[1:] if descending else text)
    field = reader.field()
    if reader.peek().kind != "end":
        reader.fail("the end")
    return Order(field, descending)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def peek(self) -> _Token:
        return self._tokens[self._at]

    def take(self) -> _Token:
        token = self.peek()
        self._at += token.kind != "end"
        return token

    def took(self, *words: str) -> str | None:
        """The next token, lower case, when it is one of `words`."""
        token = self.peek()
        found = token.text.lower()
        if token.kind in ("name", "operator") and found in words:
            self.take()
            return found
        return None

    def fail(self, wanted: str) -> NoReturn:
        token = self.peek()
        found = "the expression ends" if token.kind == "end" else f"there is {token.text[:40]!r}"
        raise InvalidQuery(_at(self._text, token.start, f"{wanted} expected, but {found}"))

    def alternatives(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise InvalidQuery(_at(self._text, self.peek().start, f"nested more than {MAX_DEPTH} deep"))
        parts = [self._conjunction(depth)]
        while self.took("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self, depth: int) -> Node:
        parts = [self._term(depth)]
        while self.took("and"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _term(self, depth: int) -> Node:
        negations = 0
        while self.took("not"):
            negations += 1
        if self.took("("):
            node = self.alternatives(depth + 1)
            if not self.took(")"):
                self.fail("')'")
        else:
            node = self._comparison()
        return Not(node) if negations % 2 else node

    def field(self) -> str:
        token = self.peek()
        if token.kind != "name" or token.text.lower() in KEYWORDS:
            self.fail("a field, for example metrics.roc_auc or created,")
        self.take()
        text = token.text
        head, dot, tail = text.partition(".")
        if dot and head in MAPS:
            name = tail[1:-1] if tail[:1] in ('"', "`") else tail
            if not name or '"' in name or "`" in name:
                raise InvalidQuery(_at(self._text, token.start, f'{text[:60]}: write {head}.name or {head}."any name"'))
            return f"{head}.{name}"
        if text in FIELDS:
            return text
        raise InvalidQuery(_at(self._text, token.start, _unknown(text)))

    def _comparison(self) -> Node:
        field = self.field()
        if self.took("is"):
            absent = not self.took("not")
            if not self.took("null"):
                self.fail("'null' or 'not null'")
            return Not(Present(field)) if absent else Present(field)
        negated = bool(self.took("not"))
        if self.took("in"):
            node: Node = Compare(field, "in", self._list(field))
        elif self.took("like"):
            value = self._value(field)
            if not isinstance(value, str):
                self.fail("text in single quotes after 'like'")
            node = Compare(field, "like", (value,))
        elif not negated and (sign := self.took(*COMPARISONS)):
            node = Compare(field, COMPARISONS[sign], (self._value(field),))
        else:
            self.fail("'in' or 'like'" if negated else "a comparison (= != < <= > >= like in is)")
        return Not(node) if negated else node

    def _list(self, field: str) -> tuple[Literal_, ...]:
        if not self.took("("):
            self.fail("'(' and a list of values")
        values = [self._value(field)]
        while self.took(","):
            values.append(self._value(field))
        if not self.took(")"):
            self.fail("',' or ')'")
        return tuple(values)

    def _value(self, field: str) -> Literal_:
        token = self.peek()
        if token.kind in ("time", "text") and field in TIMES:
            value: Literal_ = self._time(token)
        elif field in TIMES:
            self.fail("a time, as 2026-11-03 or 2026-11-03T12:00Z,")
        elif token.kind == "number":
            value = float(token.text)
        elif token.kind in ("text", "time"):
            value = token.text[1:-1].replace("''", "'") if token.kind == "text" else token.text
        elif token.text.lower() in ("true", "false"):
            value = token.text.lower() == "true"
        elif token.kind == "name":
            bare = token.text.strip("'`\"")[:40]
            self.fail(f"a value (text stands in single quotes: '{bare}')")
        else:
            self.fail("a value: a number, 'text', true or false")
        self.take()
        return value

    def _time(self, token: _Token) -> float:
        text = token.text.strip("'").strip()
        try:
            time = datetime.fromisoformat(text)
        except ValueError as error:
            message = f"{text[:40]!r} is not a time: write it as 2026-11-03 or 2026-11-03T12:00Z"
            raise InvalidQuery(_at(self._text, token.start, message)) from error
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            rest = text[at : at + 20]
            hint = "a quote that is not closed" if rest[0] in "'\"`" else f"{rest.split()[0]!r} is no part of an expression"
            raise InvalidQuery(_at(text, at, hint))
        if found.lastgroup != "space":
            yield _Token(found.lastgroup, found.group(), at)
        at = found.end()
    yield _Token("end", "", len(text))


def _unknown(text: str) -> str:
    head, dot, tail = text.partition(".")
    similar = closest(head if dot else text, [*MAPS, *FIELDS]) if not (dot and head in MAPS) else ()
    better = [f"{name}.{tail}" if name in MAPS and dot else name for name in similar]
    if not dot and not better:
        better = [f"metrics.{text}", f"params.{text}"]
    hint = (
        f"; did you mean {' or '.join(better)}?"
        if better
        else f"; there are {', '.join([*(f'{m}.NAME' for m in MAPS), *FIELDS])}"
    )
    return f"there is no field {text[:60]}{hint}"


def _at(text: str, position: int, message: str) -> str:
    """`message` with its place, and the words around it."""
    before = text[max(0, position - 20) : position]
    after = text[position : position + 20]
    return f"position {position + 1}: {message} (… {before}⟨here⟩{after} …)" if text else message
