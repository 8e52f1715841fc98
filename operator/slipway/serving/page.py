"""The page at ``/``: what is served, and a form to try it. One document that asks for nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import Any

from slipway.serving.datatypes import json_types
from slipway.serving.openapi import Shown
from slipway.serving.signature import ANY, Tensor, shape_text


def page(models: Sequence[Shown]) -> str:
    """The HTML."""
    template = resources.files("slipway.serving").joinpath("page.html").read_text(encoding="utf-8")
    sections = "".join(_section(model) for model in models) or "<p>No model is loaded.</p>"
    return template.replace("<!-- models -->", sections)


def _section(model: Shown) -> str:
    rows = "".join(
        f"<tr><td>{kind}</td><td><code>{escape(tensor.name)}</code></td><td>{tensor.datatype}</td>"
        f"<td>{shape_text(tensor.shape)}</td></tr>"
        for kind, tensors in (("input", model.signature.inputs), ("output", model.signature.outputs))
        for tensor in tensors
    )
    infer = f"/v2/models/{model.name}/infer"
    requests = [(infer, _infer_body(model))]
    if model.signature.by_rows and model.signature.row_names:
        requests.insert(0, (f"/predict/{model.name}", _records_body(model)))
    forms = "".join(_form(path, body) for path, body in requests)
    return (
        f"<section><h2>{escape(model.name)} <small>version {escape(model.version)}</small></h2>"
        f"<table><tr><th></th><th>name</th><th>type</th><th>shape</th></tr>{rows}</table>{forms}</section>"
    )


def _form(path: str, body: Any) -> str:
    text = escape(json.dumps(body, indent=1)) if len(json.dumps(body)) < 200 else escape(json.dumps(body))
    return (
        f'<form data-path="{escape(path)}"><p><code>POST {escape(path)}</code></p>'
        f'<textarea rows="8" spellcheck="false" aria-label="Request body">{text}</textarea>'
        '<p><button>Send</button> <output class="state"></output></p><pre hidden></pre></form>'
    )


def _infer_body(model: Shown) -> dict[str, Any]:
    return {"inputs": [_input(model, tensor) for tensor in model.signature.inputs]}


def _input(model: Shown, tensor: Tensor) -> dict[str, Any]:
    shape = [1 if length == ANY else length for length in tensor.shape]
    size = 1
    for length in shape:
        size *= length
    example = (model.signature.example or {}).get(tensor.name)
    data = _flat(example) if example is not None else []
    if len(data) != size:
        data = [_zero(tensor)] * size
    return {"name": tensor.name, "shape": shape, "datatype": tensor.datatype, "data": data}


def _records_body(model: Shown) -> dict[str, Any]:
    signature = model.signature
    values = [value for tensor in signature.inputs for value in _input(model, tensor)["data"]]
    return {"records": [dict(zip(signature.row_names, values, strict=False))]}


def _flat(value: Any) -> list[Any]:
    return [inner for part in value for inner in _flat(part)] if isinstance(value, list | tuple) else [value]


def _zero(tensor: Tensor) -> Any:
    kinds = json_types(tensor.datatype)
    return 0 if int in kinds else (False if bool in kinds else "")
