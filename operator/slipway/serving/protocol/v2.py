"""The Open Inference Protocol v2, REST: requests to arrays, outputs to responses. Pure.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from slipway.serving.datatypes import DTYPES, accepts
from slipway.serving.errors import BadInput
from slipway.serving.protocol.binary import Tail, from_bytes, to_bytes
from slipway.serving.protocol.body import kind_of, listed, suggest
from slipway.serving.signature import ANY, Signature, Tensor, shape_text
from slipway.serving.tensors import Array, decode, decode_floats, encode

MAX_DIMENSIONS = 16


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request as the model takes it: `arrays` in the order of the signature's inputs, `rows` in each.

    `outputs`: places of the outputs that were asked for, in that order; None for all."""

    arrays: list[Array]
    rows: int
    id: str | None = None
    outputs: tuple[int, ...] | None = None
    binary: tuple[bool, ...] | None = None
    """Whether each of `outputs` (of all, when that is None) goes out in binary; None: all as JSON."""


def read_infer(body: dict[str, Any], signature: Signature, max_rows: int, tail: Tail | None = None) -> InferRequest:
    """The request in `body`, held against the model's signature. `tail`: what follows the JSON of a request with binary
    tensors. Raises BadInput, which names the field."""
    sent = _inputs(body)
    quick = _quick(sent, signature, max_rows) if tail is None else None
    if quick is not None:
        if "outputs" not in body and "parameters" not in body:
            return InferRequest([quick], len(quick), _id(body))
        return request_of([quick], body, signature)
    positions = signature.positions
    arrays: list[Array | None] = [None] * len(positions)
    for at, item in enumerate(sent):
        field = f"inputs[{at}]"
        name = _name(item, field)
        place = positions.get(name)
        if place is None:
            there = f"the model takes {listed(positions)}"
            raise BadInput(f"{field}.name: no input {name[:100]!r}: {there}{suggest(name, positions)}")
        if arrays[place] is not None:
            raise BadInput(f"{field}.name: {name!r} is there twice")
        arrays[place] = _array(item, signature.inputs[place], field, max_rows, tail)
    if tail is not None:
        tail.end()
    found = [array for array in arrays if array is not None]
    if len(found) < len(positions):
        missing = [name for name, place in positions.items() if arrays[place] is None]
        raise BadInput(f"inputs: {listed(missing)} missing: the model takes {listed(positions)}")
    return request_of(found, body, signature)


def request_of(arrays: list[Array], body: dict[str, Any], signature: Signature) -> InferRequest:
    """A request for `arrays`, which fit the signature; the rest of it as `body` says. Raises BadInput."""
    wanted = _wanted(body, signature)
    count = len(signature.outputs) if wanted is None else len(wanted)
    return InferRequest(arrays, _rows(arrays, signature), _id(body), wanted, _binary(body, count))


def _quick(sent: list[dict[str, Any]], signature: Signature, max_rows: int) -> Array | None:
    """The only input's array, when all is as it mostly is; None when it has to be looked at closely."""
    known = signature.quick
    if known is None or len(sent) != 1:
        return None
    name, datatype, lengths, width = known
    item = sent[0]
    shape, data = item.get("shape"), item.get("data")
    if item.get("name") != name or item.get("datatype") != datatype or type(shape) is not list or type(data) is not list:
        return None
    rows = shape[0] if shape else None
    if type(rows) is not int or not 0 < rows <= max_rows or shape[1:] != lengths or len(data) != rows * width:
        return None
    array = decode_floats(data, datatype)
    return None if array is None else array.reshape(shape)


def read_free(body: dict[str, Any], max_rows: int, tail: Tail | None = None) -> tuple[dict[str, Array], str | None]:
    """The inputs by name and the request's id, for application code that takes what the model does not: names, shapes
    and datatypes are the request's own. Raises BadInput."""
    arrays: dict[str, Array] = {}
    for at, item in enumerate(_inputs(body)):
        field = f"inputs[{at}]"
        name = _name(item, field)
        if name in arrays:
            raise BadInput(f"{field}.name: {name!r} is there twice")
        open_shape = tuple(ANY for _ in _shape(item, field, max_rows))
        arrays[name] = _array(item, Tensor(name, _datatype(item, field), open_shape), field, max_rows, tail)
    if tail is not None:
        tail.end()
    return arrays, _id(body)


class InferWriter:
    """Responses of one model; shapes are those of the arrays. In JSON, values that it lacks (NaN, infinity) become null."""

    def __init__(self, model: str, version: str) -> None:
        start = orjson.dumps({"model_name": model, "model_version": version})
        self._start = start[:-1] + b',"outputs":['
        self._row_key: list[tuple[str | int, ...]] = []
        self._row_starts: list[bytes] = []
        """For the names and shapes in `_row_key`, those of the last batch: a model's outputs hardly ever change theirs."""

    def write(
        self, outputs: Sequence[tuple[Tensor, Array]], request_id: str | None = None, binary: tuple[bool, ...] | None = None
    ) -> tuple[bytes, int | None]:
        """The body of a response, and the length of its JSON when binary tensors follow that."""
        described, tail = [], []
        for at, (tensor, array) in enumerate(outputs):
            entry = {"name": tensor.name, "shape": array.shape, "datatype": tensor.datatype}
            if binary is not None and binary[at]:
                data = to_bytes(array)
                tail.append(data)
                described.append(orjson.dumps(entry | {"parameters": {"binary_data_size": len(data)}}))
            else:
                described.append(orjson.dumps(entry | {"data": encode(array)}, option=orjson.OPT_SERIALIZE_NUMPY))
        head = b"".join((self._start, b",".join(described), _end(request_id)))
        return (b"".join((head, *tail)), len(head)) if tail else (head, None)

    def write_single_rows(self, outputs: Sequence[tuple[Tensor, Array]], ids: Sequence[str | None]) -> list[bytes] | None:
        """One response for each row of stacked outputs, all as JSON: each tensor is written once and cut apart. None for
        outputs that are neither ``[n]`` nor ``[n, k]``."""
        ends = _NO_ID if ids.count(None) == len(ids) else [_end(id_) for id_ in ids]
        columns = []
        for _, array in outputs:
            if array.ndim not in (1, 2) or 0 in array.shape:
                return None
            columns.append(_row_texts(array))
        starts = self._starts(outputs)
        if len(columns) == 1:
            (first,) = starts
            if ends is _NO_ID:
                return [first + text + b"]}]}" for text in columns[0]]
            return [b"".join((first, text, b"]}", end)) for text, end in zip(columns[0], ends, strict=True)]
        if len(columns) == 2:
            first, second = starts
            if ends is _NO_ID:
                return [b"".join((first, left, second, right, b"]}]}")) for left, right in zip(*columns, strict=True)]
            return [b"".join((first, left, second, right, b"]}", end)) for left, right, end in zip(*columns, ends, strict=True)]
        rows = zip(*[[start + text for text in texts] for start, texts in zip(starts, columns, strict=True)], strict=True)
        return [b"".join((*row, b"]}", end)) for row, end in zip(rows, ends or [_end(None)] * len(ids), strict=True)]

    def _starts(self, outputs: Sequence[tuple[Tensor, Array]]) -> list[bytes]:
        """What stands before the values of each tensor, in a response with one row of each."""
        key = [(tensor.name, *array.shape[1:]) for tensor, array in outputs]
        if key != self._row_key:
            starts: list[bytes] = []
            for tensor, array in outputs:
                shape = ",".join(map(str, (1, *array.shape[1:])))
                named = orjson.dumps({"name": tensor.name, "datatype": tensor.datatype})[:-1]
                starts.append((b"]}," if starts else self._start) + named + f',"shape":[{shape}],"data":['.encode())
            self._row_key, self._row_starts = key, starts
        return self._row_starts


_NO_ID: Final[list[bytes]] = []


def _end(request_id: str | None) -> bytes:
    return b"]}" if request_id is None else b'],"id":' + orjson.dumps(request_id) + b"}"


def _row_texts(array: Array) -> list[bytes]:
    """The values of each row as JSON, without brackets."""
    if array.dtype.kind in "OUST":
        rows = array if array.ndim == 2 else array[:, None]
        return [orjson.dumps([str(value) for value in row])[1:-1] for row in rows]
    text = orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
    return text[1:-1].split(b",") if array.ndim == 1 else text[2:-2].split(b"],[")


def model_metadata(model: str, version: str, signature: Signature, platform: str) -> dict[str, Any]:
    """The answer to ``GET /v2/models/<model>``."""
    return {
        "name": model,
        "versions": [version],
        "platform": platform,
        "inputs": [_described(tensor) for tensor in signature.inputs],
        "outputs": [_described(tensor) for tensor in signature.outputs],
    }


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}


def _inputs(body: dict[str, Any]) -> list[dict[str, Any]]:
    sent = body.get("inputs")
    if type(sent) is not list:
        if "inputs" in body:
            raise BadInput(f"inputs: a list belongs here, not {kind_of(sent)}")
        raise BadInput(f"inputs: missing{suggest_key(body)}")
    if not sent:
        raise BadInput("inputs: empty: give one entry for each input of the model")
    for at, item in enumerate(sent):
        if type(item) is not dict:
            raise BadInput(f"inputs[{at}]: an object belongs here, not {kind_of(item)}")
    return sent


def suggest_key(body: dict[str, Any]) -> str:
    """What a body without ``inputs`` was probably meant for."""
    if "instances" in body:
        return "; instances belong to POST /v1/models/<model>:predict"
    if "records" in body:
        return "; records belong to POST /predict"
    return ': write {"inputs": [{"name": …, "shape": …, "datatype": …, "data": …}]}'


def _name(item: dict[str, Any], field: str) -> str:
    name = item.get("name")
    if type(name) is not str:
        raise BadInput(f"{field}.name: {'missing' if name is None else 'a string belongs here'}")
    return name


def _datatype(item: dict[str, Any], field: str) -> str:
    datatype = item.get("datatype")
    if type(datatype) is not str or datatype not in DTYPES:
        if datatype is None:
            raise BadInput(f"{field}.datatype: missing: one of {', '.join(DTYPES)}")
        shown = repr(datatype)[:60]
        raise BadInput(f"{field}.datatype: {shown} is none of {', '.join(DTYPES)}")
    return datatype


def _shape(item: dict[str, Any], field: str, max_rows: int) -> list[int]:
    shape = item.get("shape")
    if type(shape) is not list or not shape:
        raise BadInput(f"{field}.shape: {'missing' if shape is None else 'a list of lengths belongs here'}, as [1, 30]")
    if len(shape) > MAX_DIMENSIONS:
        raise BadInput(f"{field}.shape: {len(shape)} dimensions, at most {MAX_DIMENSIONS}")
    for at, length in enumerate(shape):
        if type(length) is not int or length < 1:
            raise BadInput(f"{field}.shape[{at}]: {str(length)[:40]} is not a length of 1 or more")
    if shape[0] > max_rows:
        raise BadInput(f"{field}.shape[0]: {shape[0]} rows, at most {max_rows} in one request")
    return shape


def _array(item: dict[str, Any], tensor: Tensor, field: str, max_rows: int, tail: Tail | None) -> Array:
    datatype = item.get("datatype")
    if datatype != tensor.datatype:
        datatype = _datatype(item, field)
        if not accepts(tensor.datatype, datatype):
            raise BadInput(f"{field}.datatype: {datatype}, the model takes {tensor.datatype}")
    shape, wanted = _shape(item, field, max_rows), tensor.shape
    if len(shape) != len(wanted):
        raise BadInput(f"{field}.shape: {shape_text(shape)}, the model takes {shape_text(wanted)} (-1: any length)")
    for length, want in zip(shape, wanted, strict=True):
        if want not in (length, ANY):
            raise BadInput(f"{field}.shape: {shape_text(shape)}, the model takes {shape_text(wanted)} (-1: any length)")
    data = item.get("data")
    if type(data) is not list:
        parameters = item.get("parameters")
        if type(parameters) is dict and "binary_data_size" in parameters:
            return _binary_array(parameters["binary_data_size"], shape, tensor, datatype, field, tail)
        said = "missing" if data is None else f"a list belongs here, not {kind_of(data)}"
        raise BadInput(f"{field}.data: {said}")
    return decode(data, shape, tensor.datatype, datatype, f"{field}.data")


def _binary_array(size: Any, shape: list[int], tensor: Tensor, datatype: str, field: str, tail: Tail | None) -> Array:
    field = f"{field}.parameters.binary_data_size"
    if type(size) is not int or size < 0:
        raise BadInput(f"{field}: a number of bytes belongs here")
    if tail is None:
        raise BadInput(f"{field}: the request has no header Inference-Header-Content-Length, which says where the JSON ends")
    return from_bytes(tail.take(size, field), shape, tensor.datatype, datatype, field)


def _rows(arrays: list[Array], signature: Signature) -> int:
    if not signature.by_rows:
        return 1
    rows = len(arrays[0])
    for at, array in enumerate(arrays):
        if len(array) != rows:
            first, other = signature.inputs[0].name, signature.inputs[at].name
            raise BadInput(f"inputs: {rows} rows in {first!r} and {len(array)} in {other!r}: give the same number")
    return rows


def _id(body: dict[str, Any]) -> str | None:
    request_id = body.get("id")
    if request_id is not None and type(request_id) is not str:
        raise BadInput(f"id: a string belongs here, not {kind_of(request_id)}")
    return request_id


def _binary(body: dict[str, Any], count: int) -> tuple[bool, ...] | None:
    """Which of the wanted outputs go out in binary."""
    parameters, asked = body.get("parameters"), body.get("outputs")
    if parameters is None and not asked:
        return None
    if parameters is not None and type(parameters) is not dict:
        raise BadInput(f"parameters: an object belongs here, not {kind_of(parameters)}")
    default = bool(parameters and parameters.get("binary_data_output") is True)
    chosen = []
    for at in range(count):
        own = asked[at].get("parameters") if asked else None
        if own is not None and type(own) is not dict:
            raise BadInput(f"outputs[{at}].parameters: an object belongs here, not {kind_of(own)}")
        chosen.append(own["binary_data"] is True if own is not None and "binary_data" in own else default)
    return tuple(chosen) if any(chosen) else None


def _wanted(body: dict[str, Any], signature: Signature) -> tuple[int, ...] | None:
    asked = body.get("outputs")
    if asked is None or asked == []:
        return None
    if type(asked) is not list:
        raise BadInput(f"outputs: a list belongs here, not {kind_of(asked)}")
    places = {tensor.name: at for at, tensor in enumerate(signature.outputs)}
    wanted = []
    for at, item in enumerate(asked):
        name = item.get("name") if type(item) is dict else None
        if type(name) is not str:
            raise BadInput(f'outputs[{at}]: {{"name": …}} belongs here')
        if name not in places:
            there = f"the model gives {listed(places)}"
            raise BadInput(f"outputs[{at}].name: no output {name[:100]!r}: {there}{suggest(name, places)}")
        wanted.append(places[name])
    return tuple(wanted)
