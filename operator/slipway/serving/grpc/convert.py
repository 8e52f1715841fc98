"""gRPC messages to what the REST side reads, so that both are checked by the same rules, and outputs to messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slipway.serving.errors import BadInput
from slipway.serving.grpc import open_inference_pb2 as pb
from slipway.serving.memory import BINARY_FACTOR, JSON_FACTOR, demand
from slipway.serving.protocol.binary import Tail, to_bytes
from slipway.serving.signature import Tensor
from slipway.serving.tensors import Array

_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""Where values of a datatype are; FP16 goes as raw bytes only."""


def read_request(message: pb.ModelInferRequest) -> tuple[dict[str, Any], Tail]:
    """The request as the REST protocol has it, and its raw tensors. Raises BadInput, MemoryError."""
    raw = message.raw_input_contents
    demand(message.ByteSize(), BINARY_FACTOR if raw else JSON_FACTOR)
    if raw and len(raw) != len(message.inputs):
        raise BadInput(f"raw_input_contents: {len(raw)} for {len(message.inputs)} inputs: give one for each")
    inputs: list[dict[str, Any]] = []
    for at, tensor in enumerate(message.inputs):
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if raw:
            entry["parameters"] = {"binary_data_size": len(raw[at])}
        else:
            entry["data"] = _values(tensor, f"inputs[{at}]")
        inputs.append(entry)
    request: dict[str, Any] = {"inputs": inputs, "outputs": [{"name": wanted.name} for wanted in message.outputs]}
    if message.id:
        request["id"] = message.id
    return request, Tail(memoryview(raw[0] if len(raw) == 1 else b"".join(raw)))


def write_response(
    request: pb.ModelInferRequest, model: str, version: str, outputs: Sequence[tuple[Tensor, Array]]
) -> pb.ModelInferResponse:
    """The response; its tensors are raw when the request's were, or when one is FP16."""
    answer = pb.ModelInferResponse(model_name=model, model_version=version, id=request.id)
    raw = bool(request.raw_input_contents) or any(tensor.datatype == "FP16" for tensor, _ in outputs)
    for tensor, array in outputs:
        told = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=array.shape)
        if raw:
            answer.raw_output_contents.append(to_bytes(array))
        elif tensor.datatype == "BYTES":
            told.contents.bytes_contents.extend(str(value).encode() for value in array.ravel())
        else:
            getattr(told.contents, _CONTENTS[tensor.datatype]).extend(array.ravel().tolist())
    return answer


def _values(tensor: pb.InferTensor, field: str) -> list[Any]:
    name = _CONTENTS.get(tensor.datatype)
    if name is None:
        raise BadInput(f"{field}.contents: there are none for datatype {tensor.datatype[:20]!r}: use raw_input_contents")
    values = getattr(tensor.contents, name)
    if tensor.datatype != "BYTES":
        return list(values)
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise BadInput(f"{field}.contents.bytes_contents: no UTF-8") from error
