"""What is watched when application code predicts by itself.

Drift is that of the model, where the code calls it (`slipway.serving.service.Handle`): what the model was given there, and what
it gave. Otherwise it is that of the code's own `predict`, as far as it takes and gives what the model's signature says. The
payload log and feedback are about what the code took and gave, by its own names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson

from slipway.serving import log
from slipway.serving.errors import first_line
from slipway.serving.monitoring.feedback import Feedback
from slipway.serving.monitoring.monitor import LABEL, Monitor
from slipway.serving.monitoring.observer import Call
from slipway.serving.monitoring.payload import PayloadLog
from slipway.serving.signature import ANY, Signature, Tensor, shape_text
from slipway.serving.tensors import Array

Named = Mapping[str, Array]
_KINDS: Final = frozenset("biufOUS")
_NESTED: Final = frozenset({list, tuple, dict, np.ndarray})


class ApplicationWatch:
    """Of one model version with application code. Belongs to the event loop's thread; never raises."""

    def __init__(self, signature: Signature, monitor: Monitor, feedback: Feedback, payload: PayloadLog | None) -> None:
        self._signature = signature
        self._monitor = monitor
        self._feedback = feedback
        self._payload = payload
        self._broken = False
        self.unlike: dict[str, str] = {}
        """``inputs`` and ``outputs`` that were not held against training, and why; of the last request that was so."""

    def observe(self, request: str, inputs: Named, outputs: Named, calls: Sequence[Call]) -> None:
        """One answered request: arrays by name with the rows first, as `predict` took and gave them, and what the model was
        asked meanwhile. `outputs` is empty for what can only be understood by `postprocess`."""
        if self._broken:
            return
        try:
            self._observe(request, inputs, outputs, calls)
        except Exception as error:  # monitoring must never harm the answers
            self._broken = True
            log.line("monitoring of the application has stopped", level="error", error=error)

    def _observe(self, request: str, inputs: Named, outputs: Named, calls: Sequence[Call]) -> None:
        rows = max((len(array) for array in inputs.values()), default=0)
        if not rows:
            return
        taken = {name: _by_rows(array, rows) for name, array in inputs.items()}
        given = {name: _by_rows(array, rows) for name, array in outputs.items()}
        if self._payload is not None:
            self._payload.keep(request, taken, given, self._signature.columns)
        whole = [self._modelled(call) for call in calls]
        if not whole:
            whole = [(self._held("inputs", taken), self._held("outputs", given))]
            if not whole[0][1] and LABEL in given:
                self._monitor.add_classes(given[LABEL])
        for into, out in whole:
            if into or out:
                self._monitor.observe([(request, into, out)])
        told = given.get(LABEL, next(iter(given.values()), None))
        if told is None and whole[-1][1]:
            told = self._feedback.chosen(whole[-1][1])
        if told is not None:
            self._feedback.remember(request, told)

    def _modelled(self, call: Call) -> tuple[list[Array], list[Array]]:
        names = ([tensor.name for tensor in side] for side in (self._signature.inputs, self._signature.outputs))
        taken, given = (dict(zip(side, arrays, strict=True)) for side, arrays in zip(names, call, strict=True))
        return self._held("inputs", taken), self._held("outputs", given)

    def _held(self, side: str, named: Named) -> list[Array]:
        """Arrays in the order of the signature; none, with the reason in `unlike`, for what does not fit it."""
        signature = self._signature
        tensors = signature.inputs if side == "inputs" else signature.outputs
        try:
            found = held(named, tensors, signature.row_names if side == "inputs" else ())
        except (ValueError, TypeError, OverflowError) as error:
            reason = first_line(error)
            if side not in self.unlike and self._monitor.reference is not None:
                log.line(f"the application's {side} are not compared with training's", level="warning", reason=reason)
            self.unlike[side] = reason
            return []
        return found


def held(named: Named, tensors: Sequence[Tensor], columns: Sequence[str] = ()) -> list[Array]:
    """`named` in the order and the types of `tensors`: by their names, as the only one, or the columns of the only matrix, of
    which more may be there. Raises ValueError, TypeError, OverflowError for what does not fit."""
    if not named or not tensors:
        raise ValueError("there are none")
    if all(tensor.name in named for tensor in tensors):
        return [_typed(named[tensor.name], tensor) for tensor in tensors]
    only = tensors[0] if len(tensors) == 1 else None
    if only is not None and columns and len(only.shape) == 2 and all(name in named for name in columns):
        made = [np.asarray(named[name]) for name in columns]
        if all(array.ndim == 1 for array in made):
            return [_typed(np.stack([array.astype(only.dtype) for array in made], axis=1), only)]
    if only is not None and len(named) == 1:
        return [_typed(next(iter(named.values())), only)]
    missing = [tensor.name for tensor in tensors if tensor.name not in named]
    raise ValueError(f"{', '.join(list(named)[:5])} are there, the model has {', '.join(missing[:5])}")


def _typed(array: Array, tensor: Tensor) -> Array:
    shape = tensor.shape
    if array.ndim == 1 and len(shape) == 2 and shape[1] == 1:
        array = array.reshape(-1, 1)
    fits = array.ndim == len(shape) and all(w in (ANY, h) for w, h in zip(shape, array.shape, strict=True))
    if not fits:
        raise ValueError(f"{tensor.name!r} has shape {shape_text(array.shape)}, the model's is {shape_text(shape)}")
    if (array.dtype.kind in "OUST") != (tensor.datatype == "BYTES") and array.dtype.kind != "O":
        raise TypeError(f"{tensor.name!r} holds {array.dtype}, the model's is {tensor.datatype}")
    return array.astype(tensor.dtype, copy=False)


def _by_rows(array: Array, rows: int) -> Array:
    """`array` if it has `rows` rows; else whole beside each of them."""
    if array.ndim and len(array) == rows:
        return array
    return np.broadcast_to(array, (rows, *array.shape))


def named_arrays(value: Any, only: str) -> dict[str, Array]:
    """What application code takes or gives, as arrays by name that are nobody else's: records by column, arrays by name, or the
    one array `only`. What is none of these is left out, and so is what no array can hold."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return _columns(value)
    given = value if isinstance(value, Mapping) else {only: value} if isinstance(value, list | np.ndarray) else {}
    found = {}
    for name, values in given.items():
        try:
            array = np.array(values)
        except ValueError:  # ragged
            continue
        if array.dtype.kind in _KINDS:
            found[str(name)] = array.reshape(1) if array.ndim == 0 else array
    return found


def _columns(rows: Sequence[Any]) -> dict[str, Array]:
    """All columns that any row has: missing numbers are NaN, other missing values None; what is no single value is JSON text."""
    found: dict[str, Array] = {}
    if not all(isinstance(row, Mapping) for row in rows):
        return found
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values}
        if kinds <= {int, float, bool, type(None)} and type(None) in kinds and len(kinds) > 1:
            array = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        elif (len(kinds) == 1 or kinds <= {int, float}) and not kinds & _NESTED:
            array = np.array(values)
        else:
            array = np.array([_text(value) for value in values], dtype=object)
        if array.ndim == 1 and array.dtype.kind in _KINDS:
            found[str(name)] = array
    return found


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    if type(value) in _NESTED:
        return orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    return str(value)
