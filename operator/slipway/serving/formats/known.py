"""A version's recorded signature, held against what the model file itself says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slipway.serving.datatypes import DTYPES
from slipway.serving.errors import StartError
from slipway.serving.signature import ANY, Signature, Tensor, shape_text


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
    for side, said, there in (("input", record.inputs, own.inputs), ("output", record.outputs, own.outputs)):
        _agree(side, said, {tensor.name: tensor for tensor in there})
    columns = record.columns or own.columns
    if columns and not _fits(columns, own):
        raise StartError(
            f"the version's record names {len(columns)} columns ({', '.join(columns[:3])} …), which do not fit the model's "
            f"inputs {', '.join(f'{t.name} {list(t.shape)}' for t in own.inputs)}: register it again"
        )
    return replace(own, columns=columns, example=record.example or own.example)


def _agree(side: str, said: Sequence[Tensor], there: Mapping[str, Tensor]) -> None:
    """What the record says of tensors, against those of the file; a file that does not say (skops) is believed to agree."""
    if not there:
        return
    for tensor in said:
        found = there.get(tensor.name)
        if found is None:
            raise StartError(
                f"the version's record speaks of {side} {tensor.name!r}, the model file has {', '.join(there)}: register it again"
            )
        fits = len(tensor.shape) == len(found.shape) and all(
            one == other or ANY in (one, other) for one, other in zip(tensor.shape, found.shape, strict=True)
        )
        if tensor.datatype != found.datatype or not fits:
            raise StartError(
                f"the version's record says that {side} {tensor.name!r} is {tensor.datatype} {shape_text(tensor.shape)}, in the "
                f"model file it is {found.datatype} {shape_text(found.shape)}: register it again"
            )


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
