"""MLflow's filter strings."""

from __future__ import annotations

import pytest

from slipway.web.mlflow.entities import VERSION_ATTRIBUTES
from slipway.web.mlflow.errors import MlflowError
from slipway.web.mlflow.filters import matches, named, parse

VALUES = {"name": "breast-cancer", "version_number": 12, "run_id": "abc"}
TAGS = {"team": "screening", "a.b": "c"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("name = 'breast-cancer'", True),
        ('name="breast-cancer"', True),
        ("name != 'breast-cancer'", False),
        ("name LIKE 'breast%'", True),
        ("name like 'BREAST%'", False),
        ("name ILIKE '%CANCER'", True),
        ("name NOT LIKE '%cancer'", False),
        ("name LIKE 'breast_cancer'", True),
        ("name LIKE 'breast.cancer'", False),
        ("name IN ('wine', 'breast-cancer')", True),
        ("name IN ('wine')", False),
        ("attributes.name = 'breast-cancer' and tags.team = 'screening'", True),
        ("tags.`a.b` = 'c' AND version_number >= 12", True),
        ("version_number > 12", False),
        ("version_number <= 12 AND version_number != 3", True),
        ("tags.team = 'other'", False),
        ("tag.missing != 'x'", False),
        ("tags.`mlflow.prompt.is_prompt` != 'true'", True),
        ("tags.`mlflow.prompt.is_prompt` = 'true'", False),
    ],
)
def test_what_matches(text: str, holds: bool) -> None:
    assert matches(parse(text, VERSION_ATTRIBUTES), VALUES, TAGS) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name", "no comparison"),
        ("name = 'a' OR name = 'b'", "AND is expected"),
        ("colour = 'red'", "unknown attribute 'colour'"),
        ("name IN 'a'", "IN needs a list"),
        ("name = ('a')", "a list belongs after IN"),
        ("name > 'a'", "needs numbers"),
        ("name = '" + "x" * 5000 + "'", "at most"),
        ("name = 'a' AND", "no comparison"),
    ],
)
def test_what_is_no_filter_is_said(text: str, words: str) -> None:
    with pytest.raises(MlflowError, match=words):
        matches(parse(text, VERSION_ATTRIBUTES), VALUES, TAGS)


def test_names_that_a_filter_asks_for_are_known_before_anything_is_read() -> None:
    assert named(parse("tags.x = 'y' AND name = 'a'", VERSION_ATTRIBUTES)) == ("a",)
    assert named(parse("name IN ('a', 'b')", VERSION_ATTRIBUTES)) == ("a", "b")
    assert named(parse("name LIKE 'a%'", VERSION_ATTRIBUTES)) is None
