"""What the served model takes and gives, with all that answering a request needs worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from slipway.serving.datatypes import DTYPES

ANY = -1
"""A length that is open."""


@dataclass(frozen=True)
class Tensor:
    """One input or output: `datatype` as FP32 or BYTES; in `shape`, ANY for an open length, the rows first."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of its values."""
        return DTYPES[self.datatype]

    @property
    def by_rows(self) -> bool:
        """Whether the first length is open: the rows of a request."""
        return bool(self.shape) and self.shape[0] == ANY

    @property
    def width(self) -> int | None:
        """Values in one row: 1 for ``[-1]``, n for ``[-1, n]``; None for other shapes."""
        if not self.by_rows or len(self.shape) > 2:
            return None
        return 1 if len(self.shape) == 1 else (self.shape[1] if self.shape[1] != ANY else None)


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs in the model's order. `columns`: names of the values in a row. `example`: input name to nested
    lists of one row."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    columns: tuple[str, ...] = ()
    example: dict[str, Any] | None = field(default=None, hash=False)

    @cached_property
    def quick(self) -> tuple[str, str, list[int], int] | None:
        """Name, datatype, lengths after the rows, and values in a row of the only input, when that has rows of a fixed
        number of floats: most models."""
        tensor = self.inputs[0] if len(self.inputs) == 1 else None
        if tensor is None or tensor.datatype not in ("FP32", "FP64") or not tensor.by_rows or ANY in tensor.shape[1:]:
            return None
        return tensor.name, tensor.datatype, list(tensor.shape[1:]), prod(tensor.shape[1:])

    @cached_property
    def positions(self) -> dict[str, int]:
        """Input name to its place."""
        return {tensor.name: at for at, tensor in enumerate(self.inputs)}

    @property
    def by_rows(self) -> bool:
        """Whether all inputs and outputs have rows: only then can requests be stacked, or rows be given one by one."""
        tensors = (*self.inputs, *self.outputs)
        return all(tensor.by_rows for tensor in tensors)

    @property
    def one_matrix(self) -> bool:
        """Whether the model takes one input with a row of values each, as scikit-learn does."""
        return len(self.inputs) == 1 and self.inputs[0].by_rows and len(self.inputs[0].shape) == 2

    @property
    def one_value_each(self) -> bool:
        """Whether each input holds one value per row: a column each."""
        return bool(self.inputs) and all(tensor.width == 1 for tensor in self.inputs)

    @cached_property
    def row_names(self) -> tuple[str, ...]:
        """Names by which the values of a row can be given; empty when there are none."""
        if self.columns:
            return self.columns
        return tuple(tensor.name for tensor in self.inputs) if self.one_value_each else ()

    def sample(self) -> list[np.ndarray[Any, Any]]:
        """One row for each input: the example, or zeros (empty strings) of the right shape and type; open lengths other
        than the rows are 1. Raises ValueError or TypeError for an example that does not fit."""
        return [self._sample(tensor) for tensor in self.inputs]

    def _sample(self, tensor: Tensor) -> np.ndarray[Any, Any]:
        shape = [1 if length == ANY else length for length in tensor.shape]
        if self.example is None or tensor.name not in self.example:
            return np.full(shape, "", dtype=object) if tensor.datatype == "BYTES" else np.zeros(shape, tensor.dtype)
        array = np.array(self.example[tensor.name], dtype=tensor.dtype)
        if array.ndim == len(shape) - 1:
            array = array[np.newaxis]
        fits = array.ndim == len(shape) and all(want in (ANY, have) for want, have in zip(tensor.shape, array.shape, strict=True))
        if not fits:
            raise ValueError(
                f"the example of input {tensor.name!r} has shape {list(array.shape)}, {list(tensor.shape)} is wanted"
            )
        return array


def shape_text(shape: Sequence[int]) -> str:
    """A shape for people: ``[-1, 30]``."""
    return f"[{', '.join(map(str, shape))}]"
