"""The OpenAPI description of what is served. Pure.

Source of the paths: https://github.com/kserve/open-inference-protocol, rest/open_inference_rest.yaml
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from slipway.serving.datatypes import DTYPES, json_types
from slipway.serving.signature import ANY, Signature, Tensor

Schema = dict[str, Any]

NONE: Mapping[str, Schema] = MappingProxyType({})
_STRING: Schema = {"type": "string"}
_ERRORS = {
    "400": "The request breaks the protocol or the model's signature; the message names the field.",
    "408": "The body was not all there in time.",
    "413": "The body is too large.",
    "401": "An API key is needed.",
    "415": "The body is no JSON.",
    "429": "Too many requests wait; come back after Retry-After seconds.",
    "500": "The model or the application failed.",
    "503": "The model is not ready.",
    "504": "The model did not answer in time.",
}


@dataclass(frozen=True)
class Keyed:
    """Columns that the server fetches when a row has the entity keys instead. `keys`: JSON type by name."""

    keys: Mapping[str, Schema]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """One model, as the document tells of it."""

    name: str
    version: str
    signature: Signature
    keyed: tuple[Keyed, ...] = ()
    """By feature view."""


def document(models: Sequence[Shown], *, control: bool = False) -> Schema:
    """OpenAPI 3.1 of the server's routes. `control`: clients may load and unload."""
    paths: dict[str, Schema] = {
        "/v2": {"get": _get("Server metadata", "ServerMetadata")},
        "/v2/health/live": {"get": _get("Whether the process answers", "Live")},
        "/v2/health/ready": {"get": _get("Whether the models answer", "Ready", not_ready="Ready")},
        "/v2/repository/index": {"post": _post("State of the models", "IndexRequest", "Index", required=False)},
        "/metrics": {"get": {"summary": "Prometheus metrics", "responses": {"200": _text("The metrics")}}},
        "/v1/models": {"get": _get("Names of the models", "ModelList")},
    }
    schemas = _common()
    for model in models:
        prefix = f"{model.name}." if len(models) > 1 else ""
        paths |= _model_paths(model, prefix, alone=len(models) == 1)
        schemas |= {prefix + name: schema for name, schema in _schemas(model, prefix).items()}
    if control:
        for verb in ("load", "unload"):
            path = f"/v2/repository/models/{{model}}/{verb}"
            name = {"name": "model", "in": "path", "required": True, "schema": _STRING}
            paths[path] = {"post": _post(f"{verb.capitalize()} a configured model", "Empty", "Empty", required=False)}
            paths[path]["post"]["parameters"] = [name]
    names = ", ".join(model.name for model in models) or "no model"
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{names} on Slipway", "version": models[0].version if len(models) == 1 else "many"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _model_paths(model: Shown, prefix: str, *, alone: bool) -> dict[str, Schema]:
    name = model.name
    more = {"422": _json("An entity has no features; the message names it.", "Error")} if model.keyed else {}
    records = _post("Predict for records by column name", f"{prefix}RecordsRequest", f"{prefix}RecordsResponse", more=more)
    instances = _post("Predict, v1 protocol", f"{prefix}InstancesRequest", f"{prefix}InstancesResponse", more=more)
    paths: dict[str, Schema] = {
        f"/predict/{name}": {"post": records},
        f"/v1/models/{name}": {"get": _get("Whether the model answers", f"{prefix}ModelReady")},
        f"/v1/models/{name}:predict": {"post": instances},
    }
    if alone:
        paths["/predict"] = {"post": records}
    for base in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{model.version}"):
        paths[base] = {"get": _get("Model metadata", f"{prefix}ModelMetadata")}
        paths[f"{base}/ready"] = {"get": _get("Whether the model answers", f"{prefix}ModelReady")}
        infer = _post("Infer, Open Inference Protocol v2", f"{prefix}InferRequest", f"{prefix}InferResponse", more=more)
        paths[f"{base}/infer"] = {"post": infer}
    return paths


def _get(summary: str, schema: str, not_ready: str = "Error") -> Schema:
    return {
        "summary": summary,
        "responses": {"200": _json("As asked", schema), "503": _json(_ERRORS["503"], not_ready)},
    }


def _post(summary: str, request: str, response: str, *, required: bool = True, more: Mapping[str, Schema] = NONE) -> Schema:
    errors = {status: _json(text, "Error") for status, text in _ERRORS.items()}
    return {
        "summary": summary,
        "requestBody": {"required": required, "content": {"application/json": {"schema": _ref(request)}}},
        "responses": {"200": _json("The predictions", response), **errors, **more},
    }


def _common() -> Schema:
    return {
        "Error": _object({"error": _STRING}),
        "Empty": {"type": "object"},
        "Live": _object({"live": {"type": "boolean"}}),
        "Ready": _object({"ready": {"type": "boolean"}, "reason": _STRING}, optional=("reason",)),
        "ServerMetadata": _object({"name": _STRING, "version": _STRING, "extensions": _list(_STRING)}),
        "ModelList": _object({"models": _list(_STRING)}),
        "IndexRequest": _object({"ready": {"type": "boolean"}}, optional=("ready",)),
        "Index": _list(_object(dict.fromkeys(("name", "version", "state", "reason"), _STRING))),
        "TensorMetadata": _object({"name": _STRING, "datatype": {"enum": list(DTYPES)}, "shape": _list({"type": "integer"})}),
    }


def _schemas(model: Shown, prefix: str) -> Schema:
    identity = {"model_name": {"const": model.name}, "model_version": {"const": model.version}}
    row = _ref(f"{prefix}Row")
    return {
        "ModelReady": _object({"name": {"const": model.name}, "ready": {"type": "boolean"}}),
        "ModelMetadata": _object(
            {
                "name": {"const": model.name},
                "versions": _list(_STRING),
                "platform": _STRING,
                "inputs": _list(_ref("TensorMetadata")),
                "outputs": _list(_ref("TensorMetadata")),
            }
        ),
        "InferRequest": _infer_request(model.signature, model.keyed),
        "InferResponse": _object({**identity, "id": _STRING, "outputs": _list({"type": "object"})}, optional=("id",)),
        "Row": _row(model.signature, model.keyed),
        "RecordsRequest": _object({"records": _list(row, 1)}),
        "RecordsResponse": _object({**identity, "predictions": {"type": "array"}}),
        "InstancesRequest": _object({"instances": _list(row, 1)}),
        "InstancesResponse": _object({"predictions": {"type": "array"}}),
    }


def _infer_request(signature: Signature, keyed: Sequence[Keyed]) -> Schema:
    inputs: Schema = {"oneOf": [_input(tensor) for tensor in signature.inputs]}
    if keyed:
        inputs = {"anyOf": [*inputs["oneOf"], _column_input([*_keys(keyed), *signature.row_names])]}
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


def _column_input(names: Sequence[str]) -> Schema:
    """An entity key, or a column beside it."""
    shape = {"type": "array", "prefixItems": [{"type": "integer", "minimum": 1}, {"const": 1}], "minItems": 1, "maxItems": 2}
    values = {"type": "array", "description": "One value for each row."}
    return _object({"name": {"enum": list(names)}, "datatype": {"enum": list(DTYPES)}, "shape": shape, "data": values})


def _keys(keyed: Sequence[Keyed]) -> Schema:
    return {name: kind for view in keyed for name, kind in view.keys.items()}


def _row(signature: Signature, keyed: Sequence[Keyed]) -> Schema:
    """One row: by column name where there are names, or a list in the model's order; or with entity keys instead of features."""
    values: Schema = {"type": "array"}
    names = signature.row_names
    if not names:
        return values
    tensors = signature.inputs * len(names) if signature.one_matrix else signature.inputs
    columns = {name: _value(tensor) for name, tensor in zip(names, tensors, strict=True)}
    if not keyed:
        return {"oneOf": [_object(columns), values]}
    fetched = {column for view in keyed for column in view.columns}
    by_key = _object(_keys(keyed) | columns)
    by_key["required"] = [name for name in columns if name not in fetched]
    by_key["anyOf"] = [{"required": list(view.keys)} for view in keyed]
    by_key["description"] = "Entity keys; the server fetches the features that are not sent."
    return {"anyOf": [_object(columns), by_key, values]}


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
