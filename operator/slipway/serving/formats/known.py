"""A version's recorded signature, held against what the model file itself says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from slipway.serving.datatypes import DTYPES
from slipway.serving.errors import StartError
from slipway.serving.signature import Signature, Tensor


def recorded(signature: Any) -> Signature:
    """A `slipway.registry.records.Signature` as the server uses it; an empty one for None. Raises StartError for a
    datatype that cannot be served."""
    if signature is None:
        return Signature((), ())
    return Signature(
        tuple(_tensor(spec) for spec in signature.inputs),
        tuple(_tensor(spec) for spec in signature.outputs),
        tuple(signature.columns),
        signature.example,
    )


def completed(own: Signature, record: Signature) -> Signature:
    """`own`, read from the file, with the record's columns and example. Raises StartError when they contradict."""
    for tensor in record.inputs:
        if own.inputs and tensor.name not in own.positions:
            there = ", ".join(own.positions)
            raise StartError(
                f"the version's record speaks of input {tensor.name!r}, the model file has {there}: register it again"
            )
    columns = record.columns or own.columns
    if columns and not _fits(columns, own):
        raise StartError(
            f"the version's record names {len(columns)} columns ({', '.join(columns[:3])} …), which do not fit the model's "
            f"inputs {', '.join(f'{t.name} {list(t.shape)}' for t in own.inputs)}: register it again"
        )
    return replace(own, columns=columns, example=record.example or own.example)


def _fits(columns: tuple[str, ...], own: Signature) -> bool:
    if len(set(columns)) != len(columns):
        return False
    if len(own.inputs) > 1:
        return own.one_value_each and len(columns) == len(own.inputs)
    return own.inputs[0].width in (None, len(columns))


def _tensor(spec: Any) -> Tensor:
    if spec.datatype not in DTYPES:
        raise StartError(f"the version's record gives {spec.name!r} the datatype {spec.datatype!r}, which cannot be served")
    return Tensor(spec.name, spec.datatype, tuple(spec.shape))
