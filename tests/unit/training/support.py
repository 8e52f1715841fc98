"""Runs with little in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from slipway.training.inputs import Inputs
from slipway.training.layout import Output
from slipway.training.params import Params
from slipway.training.run import Run


def make_run(folder: Path, params: Mapping[str, object] | None = None, trusted: tuple[str, ...] = ()) -> Run:
    return Run(params=Params(params or {}), inputs=Inputs({}), output=folder, trusted_types=trusted)


def output_of(folder: Path) -> Output:
    return Output(folder)
