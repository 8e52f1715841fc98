"""The OpenAPI description of one served model. Pure.

Source of the paths: https://github.com/kserve/open-inference-protocol, rest/open_inference_rest.yaml
"""

from __future__ import annotations

from typing import Any

from slipway.serving.datatypes import DTYPES, json_types
from slipway.serving.signature import ANY, Signature, Tensor

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_ERRORS = {
    "400": "The request breaks the protocol or the model's signature; the message names the field.",
    "408": "The body was not all there in time.",
    "413": "The body is too large.",
    "415": "The body is no JSON.",
    "429": "Too many requests wait; come back after Retry-After seconds.",
    "500": "The model or the application failed.",
    "503": "The model is not ready.",
    "504": "The model did not answer in time.",
}


def document(model: str, version: str, signature: Signature) -> Schema:
    """OpenAPI 3.1 of the server's routes for this model."""
    paths: dict[str, Schema] = {
        "/v2": {"get": _get("Server metadata", "ServerMetadata")},
        "/v2/health/live": {"get": _get("Whether the process answers", "Live")},
        "/v2/health/ready": {"get": _get("Whether the model answers", "Ready", not_ready="Ready")},
        "/metrics": {"get": {"summary": "Prometheus metrics", "responses": {"200": _text("The metrics")}}},
        "/predict": {"post": _post("Predict for records by column name", "RecordsRequest", "RecordsResponse")},
        "/v1/models": {"get": _get("Names of the models", "ModelList")},
        f"/v1/models/{model}": {"get": _get("Whether the model answers", "ModelReady")},
        f"/v1/models/{model}:predict": {"post": _post("Predict, v1 protocol", "InstancesRequest", "InstancesResponse")},
    }
    for base in (f"/v2/models/{model}", f"/v2/models/{model}/versions/{version}"):
        paths[base] = {"get": _get("Model metadata", "ModelMetadata")}
        paths[f"{base}/ready"] = {"get": _get("Whether the model answers", "ModelReady")}
        paths[f"{base}/infer"] = {"post": _post("Infer, Open Inference Protocol v2", "InferRequest", "InferResponse")}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{model} on Slipway", "version": version},
        "paths": paths,
        "components": {"schemas": _schemas(model, version, signature)},
    }


def _get(summary: str, schema: str, not_ready: str = "Error") -> Schema:
    return {
        "summary": summary,
        "responses": {"200": _json("As asked", schema), "503": _json(_ERRORS["503"], not_ready)},
    }


def _post(summary: str, request: str, response: str) -> Schema:
    errors = {status: _json(text, "Error") for status, text in _ERRORS.items()}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(request)}}},
        "responses": {"200": _json("The predictions", response), **errors},
    }


def _schemas(model: str, version: str, signature: Signature) -> Schema:
    identity = {"model_name": {"const": model}, "model_version": {"const": version}}
    return {
        "Error": _object({"error": _STRING}),
        "Live": _object({"live": {"type": "boolean"}}),
        "Ready": _object({"ready": {"type": "boolean"}, "reason": _STRING}, optional=("reason",)),
        "ServerMetadata": _object({"name": _STRING, "version": _STRING, "extensions": _list(_STRING)}),
        "ModelList": _object({"models": _list(_STRING)}),
        "ModelReady": _object({"name": {"const": model}, "ready": {"type": "boolean"}}),
        "TensorMetadata": _object({"name": _STRING, "datatype": {"enum": list(DTYPES)}, "shape": _list({"type": "integer"})}),
        "ModelMetadata": _object(
            {
                "name": {"const": model},
                "versions": _list(_STRING),
                "platform": _STRING,
                "inputs": _list(_ref("TensorMetadata")),
                "outputs": _list(_ref("TensorMetadata")),
            }
        ),
        "InferRequest": _infer_request(signature),
        "InferResponse": _object({**identity, "id": _STRING, "outputs": _list({"type": "object"})}, optional=("id",)),
        "Row": _row(signature),
        "RecordsRequest": _object({"records": _list(_ref("Row"), 1)}),
        "RecordsResponse": _object({**identity, "predictions": {"type": "array"}}),
        "InstancesRequest": _object({"instances": _list(_ref("Row"), 1)}),
        "InstancesResponse": _object({"predictions": {"type": "array"}}),
    }


def _infer_request(signature: Signature) -> Schema:
    inputs = {"oneOf": [_input(tensor) for tensor in signature.inputs]}
    outputs = _list(_object({"name": {"enum": [tensor.name for tensor in signature.outputs]}}))
    return _object(
        {"id": _STRING, "parameters": {"type": "object"}, "inputs": _list(inputs, 1), "outputs": outputs},
        optional=("id", "parameters", "outputs"),
    )


def _input(tensor: Tensor) -> Schema:
    lengths = [{"type": "integer", "minimum": 1} if length == ANY else {"const": length} for length in tensor.shape]
    shape = {"type": "array", "prefixItems": lengths, "minItems": len(lengths), "maxItems": len(lengths)}
    return _object(
        {
            "name": {"const": tensor.name},
            "datatype": {"enum": [tensor.datatype]},
            "shape": shape,
            "data": {"type": "array", "description": "The values, flat in row-major order or nested as shape says."},
        }
    )


def _row(signature: Signature) -> Schema:
    """One row: by column name where there are names, or a list in the model's order."""
    values: Schema = {"type": "array"}
    names = signature.row_names
    if not names:
        return values
    tensors = signature.inputs * len(names) if signature.one_matrix else signature.inputs
    columns = {name: _value(tensor) for name, tensor in zip(names, tensors, strict=True)}
    return {"oneOf": [_object(columns), values]}


def _value(tensor: Tensor) -> Schema:
    kinds = json_types(tensor.datatype)
    if float in kinds:
        return {"type": "number"}
    return {"type": "integer"} if int in kinds else {"type": "boolean" if bool in kinds else "string"}


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _list(items: Schema, at_least: int = 0) -> Schema:
    return {"type": "array", "items": items, **({"minItems": at_least} if at_least else {})}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}


def _text(description: str) -> Schema:
    return {"description": description, "content": {"text/plain": {"schema": _STRING}}}
