"""ONNX files: what they take and give, made from scikit-learn estimators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from slipway.registry.records import Signature, TensorSpec
from slipway.training.errors import ConversionFailed, FormatRefused
from slipway.training.features import Feed

GRAPH_NAME = "model"
"""A fixed name of the graph: skl2onnx's default is random, and the same model must have the same bytes."""
TARGET_OPSET = {"": 21, "ai.onnx.ml": 3}
"""Old enough for the servers in use, and the newest of ``ai.onnx.ml`` that all of skl2onnx's converters write."""

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


def convert(estimator: Any, feed: Feed) -> bytes:
    """`estimator` as ONNX that takes `feed`; classifiers answer with plain arrays (no ZipMap). Raises
    ConversionFailed with the converter's words."""
    from skl2onnx import convert_sklearn
    from sklearn.base import is_classifier

    types = _input_types(feed)
    try:
        if is_classifier(estimator):
            try:
                options = {id(estimator): {"zipmap": False}}
                model = convert_sklearn(estimator, GRAPH_NAME, types, target_opset=TARGET_OPSET, options=options)
                return bytes(model.SerializeToString())
            except NameError as error:
                # classifiers whose converter writes no ZipMap, as LinearSVC's, do not know the option
                if "zipmap" not in str(error):
                    raise
        model = convert_sklearn(estimator, GRAPH_NAME, types, target_opset=TARGET_OPSET)
        return bytes(model.SerializeToString())
    except Exception as error:  # converters raise whatever they stumble over
        raise ConversionFailed(f"skl2onnx: {type(error).__name__}: {first_line(error)}") from error


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


def _input_types(feed: Feed) -> list[tuple[str, Any]]:
    from skl2onnx.common import data_types

    kinds = {
        "f4": data_types.FloatTensorType,
        "f8": data_types.DoubleTensorType,
        "i8": data_types.Int64TensorType,
    }
    return [
        (name, kinds.get(array.dtype.str[1:], data_types.StringTensorType)([None, array.shape[1]]))
        for name, array in feed.items()
    ]


def _spec(role: str, node: Any) -> TensorSpec:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if not node.type.startswith("tensor(") or kind not in _OIP:
        hint = "; convert with options={'zipmap': False}" if "map(" in node.type else ""
        raise FormatRefused(f"{role} {node.name!r} of the ONNX model is a {node.type}, not a tensor that can be served{hint}")
    shape = tuple(length if isinstance(length, int) and length >= 0 else -1 for length in node.shape)
    return TensorSpec(name=node.name, datatype=_OIP[kind], shape=shape)
