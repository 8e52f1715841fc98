"""The first runs of a model: that it answers at all, and whether it answers each row by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from slipway.serving.errors import InputRefused, ModelFailed, StartError, first_line
from slipway.serving.formats import Model
from slipway.serving.tensors import Array


@dataclass(frozen=True)
class WarmUp:
    """`seconds`: one run over one row, once warm. `stackable`: answers do not depend on the other rows; else `why` not."""

    seconds: float
    stackable: bool
    why: str = ""


def warm_up(model: Model) -> WarmUp:
    """Runs the signature's example, or zeros. Raises StartError when the model does not answer."""
    try:
        sample = model.signature.sample()
    except (ValueError, TypeError) as error:
        raise StartError(f"the version's example cannot be used: {first_line(error)}: register the model again") from error
    try:
        alone = model.run(sample)
        started = perf_counter()
        model.run(sample)
        seconds = perf_counter() - started
    except (InputRefused, ModelFailed) as error:
        given = "the version's example" if model.signature.example else "a row of zeros"
        raise StartError(f"the model does not answer {given}: {first_line(error)}") from error
    stackable, why = _stackable(model, sample, alone)
    return WarmUp(seconds, stackable, why)


def _stackable(model: Model, sample: list[Array], alone: list[Array]) -> tuple[bool, str]:
    if not model.signature.by_rows:
        return False, "its inputs or outputs have no open first length"
    try:
        other = [array + array.dtype.type(1) if array.dtype.kind == "f" else array for array in sample]
        both = model.run([np.concatenate(pair) for pair in zip(sample, other, strict=True)])
        other_alone = model.run(other)
    except (InputRefused, ModelFailed) as error:
        return False, f"it does not answer two rows at once: {first_line(error, 120)}"
    one, two = len(alone[0]), len(other_alone[0])
    expected = [np.concatenate(pair) for pair in zip(alone, other_alone, strict=True)]
    if one != len(sample[0]) or two != len(other[0]) or not _same(both, expected):
        return False, "a row's answer depends on the rows beside it"
    return True, ""


def _same(found: Sequence[Array], expected: Sequence[Array]) -> bool:
    for left, right in zip(found, expected, strict=True):
        if left.shape != right.shape:
            return False
        if right.dtype.kind == "f":
            if not np.allclose(left, right, rtol=1e-3, atol=1e-4, equal_nan=True):
                return False
        elif not np.array_equal(left, right):
            return False
    return True
