"""What an expression means, and what is said of one that means nothing."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.registry.columns import Segment
from slipway.registry.query import InvalidQuery, matching, ordered, parse, parse_order

ROWS: list[dict[str, Any]] = [
    {"version": 1, "metrics.auc": 0.98, "params.C": 0.5, "tags.team": "ml", "created": 1_793_534_400.0},  # 2026-11-01T12:00Z
    {"version": 2, "metrics.auc": 0.995, "params.C": "2.0", "params.flag": True, "created": 1_793_577_600.0},  # 2026-11-02T00:00Z
    {"version": 3, "params.solver": "lbfgs", "inputs.uri": ["s3://a/x", "s3://b/y"], "tags.note": "it's 100%_sure"},
    {"version": 4, "metrics.auc": 0.9, "metrics.val auc": 1.0, "packages.scikit-learn": "1.7.1", "params.flag": "false"},
]
SEGMENT = Segment.of(ROWS)


def found(expression: str) -> list[int]:
    return [row + 1 for row in matching(parse(expression), SEGMENT.column, SEGMENT.rows)]


@pytest.mark.parametrize(
    ("expression", "versions"),
    [
        ("", [1, 2, 3, 4]),
        ("metrics.auc > 0.9", [1, 2]),
        ("metrics.auc >= .9 AND params.C < 1", [1]),
        ("metrics.auc <> 0.98", [2, 4]),
        ("not metrics.auc > 0.9", [3, 4]),
        ("params.C > 1", [2]),
        ("params.C = '2.0'", [2]),
        ("params.flag = true", [2]),
        ("params.flag = FALSE", [4]),
        ("params.solver != 'saga'", [3]),
        ("params.solver > 1", []),
        ("version in (1, 3) or version = 4", [1, 3, 4]),
        ("version not in (1, 3)", [2, 4]),
        ("tags.team = 'ml' or metrics.auc > 0.99 and params.C > 1", [1, 2]),
        ("(tags.team = 'ml' or metrics.auc > 0.99) and params.C > 1", [2]),
        ("inputs.uri = 's3://b/y'", [3]),
        ("inputs.uri like 's3://a/%'", [3]),
        ("inputs.uri is null", [1, 2, 4]),
        ("tags.note like '%s 100__sure'", [3]),
        ("tags.note = 'it''s 100%_sure'", [3]),
        ("tags.note like 'IT_S%'", [3]),
        ("tags.note not like 'x%' and version = 1", [1]),
        ('metrics."val auc" = 1', [4]),
        ("metrics.`val auc` = 1e0", [4]),
        ("packages.scikit-learn = '1.7.1'", [4]),
        ("created > 2026-11-01", [1, 2]),
        ("created >= 2026-11-02T00:00Z", [2]),
        ("created < '2026-11-01T13:30+01:00'", [1]),
        ("metrics.auc is not null and not (version = 1 or version = 2)", [4]),
        ("NOT NOT version = 1", [1]),
        ("metrics.nobody = 1", []),
    ],
)
def test_meaning(expression: str, versions: list[int]) -> None:
    assert found(expression) == versions


@pytest.mark.parametrize(
    ("expression", "position", "words"),
    [
        ("metrics.auc", 12, "a comparison"),
        ("metrics.auc > ", 15, "a value"),
        ("metrics.auc > high", 15, "'high'"),
        ("metric.auc > 1", 1, "did you mean metrics.auc"),
        ("auc > 1", 1, "did you mean metrics.auc or params.auc"),
        ("metrics.auc > 1 params.C < 1", 17, "'and', 'or' or the end"),
        ("(version = 1", 13, "')' expected, but the expression ends"),
        ("version = 'x", 11, "a quote that is not closed"),
        ("version ; drop", 9, "';' is no part"),
        ("created > yesterday", 11, "a time"),
        ("created > '2026-13-01'", 11, "is not a time"),
        ("version in ()", 13, "a value"),
        ("version in (1", 14, "',' or ')'"),
        ("name like 5", 12, "text in single quotes"),
        ("metrics. > 1", 1, "write metrics.name"),
        ("and version = 1", 1, "a field"),
        ("version is 5", 12, "'null'"),
        ("version not = 5", 13, "'in' or 'like'"),
        ("(" * 60 + "version = 1", 52, "nested more than 50 deep"),
        ("1 = version", 1, "a field"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(expression: str, position: int, words: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        parse(expression)
    assert str(caught.value).startswith(f"position {position}: ")
    assert words in str(caught.value)


def test_a_long_expression_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="at most"):
        parse("version = 1 or " * 1000 + "version = 2")


def test_no_pattern_is_slow() -> None:
    """Steps grow with the length, not with the number of percent signs."""
    segment = Segment.of([{"tags.x": "a" * 20_000}])
    assert matching(parse(f"tags.x like '{'%a' * 60}%b'"), segment.column, 1) == []


def test_order_puts_what_has_no_value_last() -> None:
    keys = [0.5, None, "7", "text", 9]
    assert ordered(parse_order("metrics.auc"), keys) == [0, 2, 4, 3, 1]
    assert ordered(parse_order("-metrics.auc"), keys) == [3, 4, 2, 0, 1]
    with pytest.raises(InvalidQuery):
        parse_order("metrics.auc desc")
