"""ONNX files: what they take and give, made from scikit-learn estimators."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from slipway.registry.records import Signature, TensorSpec
from slipway.training.errors import ConversionFailed, FormatRefused
from slipway.training.features import Feed

_OIP = {
    "float16": "FP16", "float": "FP32", "double": "FP64", "bool": "BOOL", "string": "BYTES",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
}  # fmt: skip


def open_session(model: Path | bytes) -> Any:
    """An ONNX Runtime session on one thread. Raises FormatRefused with the runtime's words when it cannot load."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the runtime's own exceptions have no common base
        name = model.name if isinstance(model, Path) else "the converted model"
        raise FormatRefused(f"ONNX Runtime cannot load {name}: {first_line(error)}") from error


def read_signature(session: Any) -> Signature:
    """Inputs and outputs of a session. Raises FormatRefused for an output that is no tensor."""
    return Signature(
        inputs=tuple(_spec("input", node) for node in session.get_inputs()),
        outputs=tuple(_spec("output", node) for node in session.get_outputs()),
    )


def convert(estimator: Any, feed: Feed, outputs: Sequence[str], columns: Sequence[str] = ()) -> bytes:
    """`estimator` as ONNX that takes `feed` and gives `outputs`, under these names and nothing else. `columns`: names of
    the table's columns, for a feed of one matrix. Raises ConversionFailed with the converter's words."""
    from slipway.training.after import peel, rename
    from slipway.training.boosters import missing_for
    from slipway.training.converter import to_onnx
    from slipway.training.equivalent import equivalent
    from slipway.training.scalers import fold_scalers, spread_scalers

    try:
        peeled = peel(estimator)
        model = to_onnx(equivalent(peeled.inner, columns if len(feed) == 1 else ()), feed)
        for edit in peeled.edits:
            edit(model)
        fold_scalers(model)
        spread_scalers(model)
        graph = model.graph
        found = [output.name for output in graph.output]
        for at, name in enumerate(outputs):
            # what skl2onnx calls transformed_column, union or GPmean is the same to a client
            if name not in found and at < len(found) and found[at] not in outputs:
                rename(graph, found[at], name)
        kept = [output for output in graph.output if output.name in outputs]
        if kept:
            del graph.output[:]
            graph.output.extend(kept)
        return bytes(model.SerializeToString(deterministic=True))
    except Exception as error:  # converters raise whatever they stumble over
        raise ConversionFailed(missing_for(estimator) or _words(error)) from error


def _words(error: Exception) -> str:
    """The converter's words, without the part that says nothing."""
    from slipway.training.after import NotWritable

    if isinstance(error, NotWritable):
        return str(error)
    if unknown := re.search(r"Unable to find a (?:shape calculator|converter) for type '<class '([\w.]+)'>'", str(error)):
        return f"skl2onnx has no converter for {unknown.group(1).rpartition('.')[2]}"
    return f"skl2onnx: {type(error).__name__}: {first_line(error)}"


def run(session: Any, feed: Feed) -> dict[str, NDArray[Any]]:
    """All outputs by name. Raises ConversionFailed with the runtime's words."""
    names = [node.name for node in session.get_outputs()]
    try:
        return dict(zip(names, session.run(names, feed), strict=True))
    except Exception as error:  # the runtime's own exceptions have no common base
        raise ConversionFailed(f"ONNX Runtime: {first_line(error)}") from error


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line of an exception's text, cut to `limit` characters."""
    text = str(error).strip().partition("\n")[0].strip() or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _spec(role: str, node: Any) -> TensorSpec:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if not node.type.startswith("tensor(") or kind not in _OIP:
        hint = "; convert with options={'zipmap': False}" if "map(" in node.type else ""
        raise FormatRefused(f"{role} {node.name!r} of the ONNX model is a {node.type}, not a tensor that can be served{hint}")
    shape = tuple(length if isinstance(length, int) and length >= 0 else -1 for length in node.shape)
    return TensorSpec(name=node.name, datatype=_OIP[kind], shape=shape)
