"""The parameters of a run."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.registry.records import Scalar
from slipway.training.errors import InvalidParams, UnknownName


class Params(Mapping[str, Scalar]):
    """Parameters by name, read only: ``run.params["C"]``, ``run.params.get("seed", 0)``. Values are str, int, float or
    bool, as they were written in the manifest. Raises InvalidParams for anything else."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            check_scalar(name, value)
        self._values: dict[str, Scalar] = dict(values)

    def __getitem__(self, name: str) -> Scalar:
        try:
            return self._values[name]
        except KeyError:
            raise UnknownName(self._unknown(name)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Params({self._values!r})"

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(str(name), self._values, n=1)
        given = f"did you mean {near[0]!r}?" if near else f"given: {', '.join(sorted(self._values)) or 'none'}"
        return f"no parameter {name!r} ({given}); set trainer.params.{name}, or read it with params.get({name!r}, default)"


def check_scalar(name: object, value: object) -> None:
    """Raises InvalidParams unless `name` is a non-empty string and `value` a string, a finite number or a boolean."""
    if not isinstance(name, str) or not name:
        raise InvalidParams(f"params: {name!r} is no name; names are non-empty strings")
    if not isinstance(value, str | int | float):
        raise InvalidParams(
            f"params.{name}: {type(value).__name__} where a string, a number or true/false belongs; "
            "write a list or a map as one string, for example in JSON"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidParams(f"params.{name}: {value} is not a finite number")


def parse_param(text: str) -> tuple[str, Scalar]:
    """``C=0.3`` as ("C", 0.3). A value reads as in YAML: true and false, numbers, else a string; quote a number in
    double quotes to keep it a string. Raises InvalidParams."""
    name, separator, raw = text.partition("=")
    name = name.strip()
    if not separator or not name:
        raise InvalidParams(f"{text!r} is no parameter: write NAME=VALUE, for example C=0.3")
    try:
        value = json.loads(raw)
    except ValueError:
        value = raw
    if value is None:
        value = raw
    check_scalar(name, value)
    return name, value
