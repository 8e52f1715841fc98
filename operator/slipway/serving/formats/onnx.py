"""ONNX models on ONNX Runtime: one thread, no telemetry."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from slipway.serving.datatypes import DTYPES
from slipway.serving.errors import InputRefused, ModelFailed, StartError, first_line
from slipway.serving.formats import Known
from slipway.serving.formats.known import completed, recorded
from slipway.serving.signature import ANY, Signature, Tensor
from slipway.serving.tensors import Array

_TYPES: Final = {
    "float16": "FP16", "float": "FP32", "double": "FP64", "bool": "BOOL", "string": "BYTES",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
}  # fmt: skip
_ZIPMAP: Final = re.compile(r"seq\(map\((?:int64|string),tensor\((float|double)\)\)\)")
"""What classifiers give that were converted with ``zipmap`` left on: a list of {class: probability}."""
_WRAPPING: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : (?:Load model from .* failed:)?(?:\S+:\d+ .*?\) )?")
_MEMORY: Final = ("bad_alloc", "Failed to allocate", "bad allocation")


class OnnxModel:
    """A session, and the names of its inputs and outputs."""

    format = "onnx"

    def __init__(self, session: Any, signature: Signature) -> None:
        self.signature = signature
        import onnxruntime

        self._run = _direct(session)
        self._options = onnxruntime.RunOptions()  # one for all runs: making them takes a tenth of a small model's run
        self._inputs = [tensor.name for tensor in signature.inputs]
        self._outputs = [tensor.name for tensor in signature.outputs]
        kinds = {node.name: node.type for node in session.get_outputs()}
        self._unzip = [(at, tensor.dtype) for at, tensor in enumerate(signature.outputs) if _ZIPMAP.fullmatch(kinds[tensor.name])]

    @classmethod
    def load(cls, path: Path, known: Known) -> OnnxModel:
        """Raises StartError."""
        session = open_session(path)
        own = Signature(
            tuple(_tensor("input", node) for node in session.get_inputs()),
            tuple(_tensor("output", node) for node in session.get_outputs()),
        )
        if not own.inputs:
            raise StartError(f"{path.name}: the model has no inputs")
        return cls(session, completed(own, recorded(known.signature)))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One run of the session. Raises InputRefused, ModelFailed, MemoryError."""
        try:
            outputs: list[Any] = self._run(self._outputs, dict(zip(self._inputs, arrays, strict=True)), self._options)
        except Exception as error:  # the runtime's own exceptions have no common base
            raise _explained(error) from error
        for at, dtype in self._unzip:
            outputs[at] = np.array([list(row.values()) for row in outputs[at]], dtype=dtype)
        return outputs


def _direct(session: Any) -> Any:
    """The session's native `run`, where it is there: what the method around it looks at, inputs that are missing or on other
    devices, cannot be here, and takes as long as a small model does."""
    native = getattr(getattr(session, "_sess", None), "run", None)
    return session.run if native is None else native


def open_session(path: Path) -> Any:
    """An ONNX Runtime session on one thread. Raises StartError with the runtime's words."""
    os.putenv("ORT_DISABLE_TELEMETRY", "1")  # read by the library's native code when it is loaded
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions have no common base
        words = _plain(error)
        if any(sign in str(error) for sign in _MEMORY):
            raise MemoryError(words) from error
        raise StartError(f"{path.name}: {_advised(words, str(error), onnxruntime.__version__)}") from error


def _advised(words: str, full: str, version: str) -> str:
    """The runtime's words with what to do."""
    if "opset" in full.lower() or "IR version" in full:
        return (
            f"written for a newer ONNX than ONNX Runtime {version} knows ({words}): "
            "convert with an older target_opset, or serve with a newer image"
        )
    if "is not a registered function/op" in full or "No Op registered" in full:
        return f"uses an operator that ONNX Runtime {version} does not have ({words})"
    if "Protobuf parsing failed" in full:
        return "damaged: it is cut off or was changed"
    return f"ONNX Runtime {version} cannot load it: {words}"


def _plain(error: BaseException) -> str:
    """The first line of a runtime error without its source locations."""
    return _WRAPPING.sub("", first_line(error, 2000)).strip()[:300]


def _explained(error: Exception) -> Exception:
    if any(sign in str(error) for sign in _MEMORY):
        return MemoryError(_plain(error))
    if type(error).__name__ == "InvalidArgument":
        return InputRefused(" ".join(_WRAPPING.sub("", str(error)).split())[:300])
    return ModelFailed(f"ONNX Runtime: {_plain(error)}")


def _tensor(role: str, node: Any) -> Tensor:
    zipmap = _ZIPMAP.fullmatch(node.type)
    if role == "output" and zipmap:
        return Tensor(node.name, _TYPES[zipmap.group(1)], (ANY, ANY))
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if not node.type.startswith("tensor(") or kind not in _TYPES or _TYPES[kind] not in DTYPES:
        raise StartError(f"{role} {node.name!r} of the model is a {node.type}: only tensors can be served")
    return Tensor(node.name, _TYPES[kind], tuple(_length(length) for length in node.shape))


def _length(length: Any) -> int:
    """A fixed length, or ANY for one that the model gives a name or nothing."""
    return length if isinstance(length, int) and length >= 0 else ANY
