"""Rows of named or ordered values to arrays, and outputs to one answer per row: what ``POST /predict`` and the v1 protocol
share. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from slipway.serving.errors import BadInput, ModelFailed
from slipway.serving.protocol.body import kind_of, listed, suggest
from slipway.serving.signature import ANY, Signature, Tensor
from slipway.serving.tensors import Array, BadElement, decode


def read_rows(rows: list[Any], signature: Signature, max_rows: int, field: str) -> list[Array]:
    """Arrays in the order of the signature's inputs, from rows that are objects by column name, or lists of values in
    the model's order; one column may also be given as plain values. Raises BadInput, which names row and column."""
    check_rows(rows, max_rows, field)
    if not signature.by_rows:
        raise BadInput(f"{field}: this model takes no rows; use POST /v2/models/<model>/infer")
    kind = type(rows[0])
    for at, row in enumerate(rows):
        if type(row) is not kind:
            raise BadInput(f"{field}[{at}]: {kind_of(row)}, the first row is {kind_of(rows[0])}: give all rows alike")
    if kind is dict and set(rows[0]) <= set(signature.positions) and not signature.one_value_each:
        return _by_input(rows, signature, field)
    if kind is dict:
        return _table(_ordered(rows, signature, field), signature, field)
    if signature.one_value_each and len(signature.inputs) == 1 and kind is not list:
        return _table([[row] for row in rows], signature, field)
    if kind is not list:
        raise BadInput(f"{field}[0]: an object by column name, or a list of values, belongs here, not {kind_of(rows[0])}")
    if signature.one_matrix or signature.one_value_each:
        return _table(rows, signature, field)
    if len(signature.inputs) > 1:
        raise BadInput(f"{field}: the model has {len(signature.inputs)} inputs; use POST /v2/models/<model>/infer")
    return [_nested(rows, signature.inputs[0], field, "")]


def check_rows(rows: list[Any], max_rows: int, field: str) -> None:
    """Raises BadInput for no rows, or too many."""
    if not rows:
        raise BadInput(f"{field}: empty: give at least one row")
    if len(rows) > max_rows:
        raise BadInput(f"{field}: {len(rows)} rows, at most {max_rows} in one request")


def write_rows(outputs: Sequence[tuple[Tensor, Array]], count: int | None = None) -> list[dict[str, Any]]:
    """One object by output name for each row. Outputs of shape ``[n]`` and ``[n, 1]`` give plain values. Raises
    ModelFailed when there are not `count` rows, if that is given, in each."""
    for tensor, array in outputs:
        if count is not None and len(array) != count:
            raise ModelFailed(f"output {tensor.name!r} has {len(array)} rows for the {count} that were given")
    names = [tensor.name for tensor, _ in outputs]
    columns = [_plain(array) for _, array in outputs]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(array: Array) -> list[Any]:
    values: list[Any] = (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array).tolist()
    return values


def _ordered(rows: list[dict[str, Any]], signature: Signature, field: str) -> list[list[Any]]:
    """The rows' values in the model's order."""
    names = signature.row_names
    if not names:
        raise BadInput(f"{field}: this model has no names for its columns; give rows as lists of values in its order")
    known = set(names)
    for at, row in enumerate(rows):
        if row.keys() != known:
            raise _wrong_columns(row, names, f"{field}[{at}]")
    return [[row[name] for name in names] for row in rows]


def _wrong_columns(row: dict[str, Any], names: Sequence[str], where: str) -> BadInput:
    extra = [name for name in row if name not in names]
    if extra:
        hint = suggest(extra[0], names)
        return BadInput(f"{where}: no column {extra[0][:100]!r}{hint}: the model takes {listed(names)}")
    return BadInput(f"{where}: {listed(name for name in names if name not in row)} missing")


def _table(rows: list[list[Any]], signature: Signature, field: str) -> list[Array]:
    """Rows of as many values as the model takes, to one matrix, or to one column for each input."""
    names, matrix = signature.row_names, signature.one_matrix
    wanted = signature.inputs[0].shape[1] if matrix else len(signature.inputs)
    width = len(rows[0]) if wanted == ANY else wanted
    for at, row in enumerate(rows):
        if len(row) != width:
            raise BadInput(
                f"{field}[{at}]: {len(row)} values, {'the model takes' if width == wanted else 'the first row has'} {width}"
            )

    def place(row: int, column: int) -> str:
        return f"{field}[{row}].{names[column]}" if names else f"{field}[{row}][{column}]"

    if matrix:
        tensor = signature.inputs[0]
        try:
            flat = list(chain.from_iterable(rows))
            return [decode(flat, (len(rows), width), tensor.datatype, tensor.datatype, field)]
        except BadElement as error:
            raise BadInput(f"{place(*divmod(error.at, width))}: {error.reason}") from error
    arrays = []
    for column, tensor in enumerate(signature.inputs):
        shape = (len(rows), 1)[: len(tensor.shape)]
        try:
            arrays.append(decode([row[column] for row in rows], shape, tensor.datatype, tensor.datatype, field))
        except BadElement as error:
            raise BadInput(f"{place(error.at, column)}: {error.reason}") from error
        except BadInput as error:
            raise BadInput(f"{place(0, column)}: one value belongs here, not {kind_of(rows[0][column])}") from error
    return arrays


def _by_input(rows: list[dict[str, Any]], signature: Signature, field: str) -> list[Array]:
    """Rows that are objects by input name, each with a list of that input's values."""
    arrays = []
    for tensor in signature.inputs:
        for at, row in enumerate(rows):
            if tensor.name not in row:
                raise BadInput(f"{field}[{at}].{tensor.name}: missing")
        arrays.append(_nested([row[tensor.name] for row in rows], tensor, field, f".{tensor.name}"))
    return arrays


def _nested(values: list[Any], tensor: Tensor, field: str, suffix: str) -> Array:
    """Rows of nested lists; lengths that the model leaves open are those of the first row."""
    shape, inner = [len(values)], values[0]
    for length in tensor.shape[1:]:
        if type(inner) is not list or not inner:
            raise BadInput(f"{field}[0]{suffix}: {len(tensor.shape) - 1} levels of lists belong here")
        shape.append(len(inner) if length == ANY else length)
        inner = inner[0]
    return decode(values, shape, tensor.datatype, tensor.datatype, field + suffix)
