"""MLflow's filter strings for models and versions: comparisons joined by AND. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.web.mlflow.errors import invalid

MAX_LENGTH = 4000
PROMPT = "mlflow.prompt.is_prompt"
"""Tag by which MLflow's clients leave out prompts, which it keeps among models. What lacks it is a model."""
_COMPARISON = re.compile(
    r"""\s*(?P<key>(?:attributes?\.|tags?\.)?(?:`[^`]+`|"[^"]+"|[\w.-]+))\s*
    (?P<op>!=|>=|<=|=|>|<|(?:NOT\s+)?I?LIKE\b|IN\b)\s*
    (?P<value>'[^']*'|"[^"]*"|-?\d+(?:\.\d+)?|\([^)]*\))\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)
_TEXT = re.compile(r"'([^']*)'|\"([^\"]*)\"")


@dataclass(frozen=True)
class Comparison:
    """`kind` is ``attribute`` or ``tag``; `value` text, or texts for IN."""

    kind: str
    key: str
    op: str
    value: str | tuple[str, ...]


def parse(text: str, attributes: frozenset[str]) -> tuple[Comparison, ...]:
    """Raises MlflowError for what is no filter, and for an attribute that is not among `attributes`."""
    if len(text) > MAX_LENGTH:
        raise invalid(f"filter: {len(text)} characters, at most {MAX_LENGTH}")
    found: list[Comparison] = []
    at = 0
    while at < len(text.rstrip()):
        if found:
            joined = _AND.match(text, at)
            if joined is None:
                raise invalid(f"filter: AND is expected at {text[at : at + 40]!r}")
            at = joined.end()
        match = _COMPARISON.match(text, at)
        if match is None:
            raise invalid(f"filter: {text[at : at + 40]!r} is no comparison: write name = 'model' AND tags.team = 'ml'")
        found.append(_comparison(match, attributes))
        at = match.end()
    return tuple(found)


def matches(comparisons: tuple[Comparison, ...], values: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    """Whether a thing with attributes `values` and `tags` passes all comparisons. What it does not have matches nothing."""
    return all(_holds(one, tags.get(one.key) if one.kind == "tag" else values.get(one.key)) for one in comparisons)


def named(comparisons: tuple[Comparison, ...]) -> tuple[str, ...] | None:
    """The names that can match at all, when the filter says so; None: any."""
    for one in comparisons:
        if one.kind == "attribute" and one.key == "name" and one.op in ("=", "IN"):
            return one.value if isinstance(one.value, tuple) else (one.value,)
    return None


def _comparison(match: re.Match[str], attributes: frozenset[str]) -> Comparison:
    key, kind = match["key"], "attribute"
    prefix, dot, rest = key.partition(".")
    if dot and prefix.lower() in ("tag", "tags", "attribute", "attributes"):
        key, kind = rest, "tag" if prefix.lower().startswith("tag") else "attribute"
    key = key.strip('`"')
    if kind == "attribute" and key not in attributes:
        raise invalid(f"filter: unknown attribute {key[:80]!r}: there are {', '.join(sorted(attributes))}")
    op = " ".join(match["op"].upper().split())
    raw = match["value"]
    if op == "IN":
        if not raw.startswith("("):
            raise invalid("filter: IN needs a list: name IN ('a', 'b')")
        return Comparison(kind, key, op, tuple(one or other for one, other in _TEXT.findall(raw)))
    if raw.startswith("("):
        raise invalid(f"filter: a list belongs after IN, not after {op}")
    return Comparison(kind, key, op, raw[1:-1] if raw[0] in "'\"" else raw)


def _like(pattern: str, flags: int = 0) -> Callable[[str], bool]:
    parts = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return lambda text: re.fullmatch(parts, text, flags | re.DOTALL) is not None


def _holds(one: Comparison, value: Any) -> bool:
    if value is None:
        return one.key == PROMPT and (one.op, one.value) in (("!=", "true"), ("=", "false"))
    if isinstance(one.value, tuple):
        return str(value) in one.value
    match one.op:
        case "=":
            return _same(value, one.value)
        case "!=":
            return not _same(value, one.value)
        case "LIKE":
            return _like(one.value)(str(value))
        case "ILIKE":
            return _like(one.value, re.IGNORECASE)(str(value))
        case "NOT LIKE":
            return not _like(one.value)(str(value))
        case "NOT ILIKE":
            return not _like(one.value, re.IGNORECASE)(str(value))
    return _ordered(one, value)


def _same(value: Any, text: str) -> bool:
    return str(value) == text


def _ordered(one: Comparison, value: Any) -> bool:
    try:
        left, right = float(value), float(str(one.value))
    except ValueError as error:
        raise invalid(f"filter: {one.key} {one.op} needs numbers on both sides") from error
    return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[one.op]
