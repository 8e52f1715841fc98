"""The Open Inference Protocol v2, REST: requests to arrays, outputs to responses. Pure.

Source: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from slipway.serving.datatypes import DTYPES, accepts
from slipway.serving.errors import BadInput
from slipway.serving.protocol.body import kind_of, listed, suggest
from slipway.serving.signature import ANY, Signature, Tensor, shape_text
from slipway.serving.tensors import Array, decode, encode

MAX_DIMENSIONS = 16


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request as the model takes it: `arrays` in the order of the signature's inputs, `rows` in each.

    `outputs`: places of the outputs that were asked for, in that order; None for all."""

    arrays: list[Array]
    rows: int
    id: str | None = None
    outputs: tuple[int, ...] | None = None


def read_infer(body: dict[str, Any], signature: Signature, max_rows: int) -> InferRequest:
    """The request in `body`, held against the model's signature. Raises BadInput, which names the field."""
    sent = _inputs(body)
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
        arrays[place] = _array(item, signature.inputs[place], field, max_rows)
    found = [array for array in arrays if array is not None]
    if len(found) < len(positions):
        missing = [name for name, place in positions.items() if arrays[place] is None]
        raise BadInput(f"inputs: {listed(missing)} missing: the model takes {listed(positions)}")
    return InferRequest(found, _rows(found, signature), _id(body), _wanted(body, signature))


def read_free(body: dict[str, Any], max_rows: int) -> tuple[dict[str, Array], str | None]:
    """The inputs by name and the request's id, for application code that takes what the model does not: names, shapes
    and datatypes are the request's own. Raises BadInput."""
    arrays: dict[str, Array] = {}
    for at, item in enumerate(_inputs(body)):
        field = f"inputs[{at}]"
        name = _name(item, field)
        if name in arrays:
            raise BadInput(f"{field}.name: {name!r} is there twice")
        open_shape = tuple(ANY for _ in _shape(item, field, max_rows))
        arrays[name] = _array(item, Tensor(name, _datatype(item, field), open_shape), field, max_rows)
    return arrays, _id(body)


def write_infer(model: str, version: str, outputs: Sequence[tuple[Tensor, Array]], request_id: str | None = None) -> bytes:
    """The response, JSON; shapes are those of the arrays. Values that JSON lacks (NaN, infinity) become null."""
    answer: dict[str, Any] = {
        "model_name": model,
        "model_version": version,
        "outputs": [
            {"name": tensor.name, "shape": array.shape, "datatype": tensor.datatype, "data": encode(array)}
            for tensor, array in outputs
        ],
    }
    if request_id is not None:
        answer["id"] = request_id
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


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


def _array(item: dict[str, Any], tensor: Tensor, field: str, max_rows: int) -> Array:
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
        binary = type(item.get("parameters")) is dict and "binary_data_size" in item["parameters"]
        hint = ": binary tensors are not supported, send JSON (binary_data=False)" if binary else ""
        said = "missing" if data is None else f"a list belongs here, not {kind_of(data)}"
        raise BadInput(f"{field}.data: {said}{hint}")
    return decode(data, shape, tensor.datatype, datatype, f"{field}.data")


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
