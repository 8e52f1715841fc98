from __future__ import annotations

import pytest

from slipway.training.errors import InvalidParams
from slipway.training.params import Params, parse_param


def test_params_are_read_by_name_with_their_types() -> None:
    params = Params({"C": 0.3, "seed": 7, "shuffle": True, "solver": "lbfgs"})
    assert (params["C"], params["seed"], params["shuffle"], params["solver"]) == (0.3, 7, True, "lbfgs")
    assert params.get("missing", 1) == 1
    assert sorted(params) == ["C", "seed", "shuffle", "solver"]


def test_an_unknown_parameter_names_the_nearest_one() -> None:
    with pytest.raises(KeyError) as caught:
        Params({"learning_rate": 0.1})["learnign_rate"]
    assert str(caught.value).startswith("no parameter 'learnign_rate' (did you mean 'learning_rate'?)")


def test_an_unknown_parameter_lists_what_was_given() -> None:
    with pytest.raises(KeyError, match="given: none"):
        Params({})["C"]


@pytest.mark.parametrize("value", [[1], {"a": 1}, None, b"x", float("nan"), float("inf"), {1}])
def test_what_is_no_scalar_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidParams, match=r"params\.C: "):
        Params({"C": value})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C=0.3", ("C", 0.3)),
        ("seed=7", ("seed", 7)),
        ("shuffle=true", ("shuffle", True)),
        ("solver=lbfgs", ("solver", "lbfgs")),
        ('code="007"', ("code", "007")),
        ("empty=", ("empty", "")),
        ("rate=1e-3", ("rate", 0.001)),
        ("expression=a=b", ("expression", "a=b")),
        ("nothing=null", ("nothing", "null")),
        (" C = 0.5", ("C", 0.5)),
    ],
)
def test_a_parameter_on_the_command_line_reads_as_in_yaml(text: str, expected: tuple[str, object]) -> None:
    name, value = parse_param(text)
    assert (name, value) == expected
    assert type(value) is type(expected[1])


@pytest.mark.parametrize("text", ["C", "=3", "", "C=NaN", "C=-Infinity", "C=[1, 2]", 'C={"a": 1}'])
def test_a_malformed_parameter_on_the_command_line_is_refused(text: str) -> None:
    with pytest.raises(InvalidParams):
        parse_param(text)
