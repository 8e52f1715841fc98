"""Model formats: told by content, loaded by the module of that name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from slipway.serving.errors import StartError
from slipway.serving.signature import Signature
from slipway.serving.tensors import Array
from slipway.training.errors import FormatRefused
from slipway.training.formats import ONNX, SKOPS, sniff


class Model(Protocol):
    """A loaded model. `run` may be called from any thread, one call at a time."""

    @property
    def format(self) -> str:
        """``onnx`` or ``skops``."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives, in the order of `run`."""

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Outputs for inputs that fit the signature. Raises InputRefused, ModelFailed, MemoryError."""


@dataclass(frozen=True)
class Known:
    """What is known of a model beside its file: from the version's record."""

    signature: Any = None
    """A `slipway.registry.records.Signature`, or None."""
    trusted_types: tuple[str, ...] = ()


def format_of(path: Path) -> str | None:
    """``onnx``, ``skops``, or None for a file that is no model. Raises StartError for a pickle in any wrapping."""
    try:
        return sniff(path)
    except FormatRefused as error:
        raise StartError(
            f"{path.name} is refused: it is a pickle (joblib and PyTorch write these too), and loading one runs whatever "
            "code it holds; save the model as .onnx (skl2onnx.to_onnx) or .skops (skops.io.dump)"
        ) from error
    except OSError as error:
        raise StartError(f"{path}: {error.strerror or error}") from error


def open_model(path: Path, format_name: str, known: Known) -> Model:
    """The model in `path`, ready to run. Raises StartError with the reason."""
    if format_name == ONNX:
        from slipway.serving.formats.onnx import OnnxModel

        return OnnxModel.load(path, known)
    if format_name == SKOPS:
        from slipway.serving.formats.skops import SkopsModel

        return SkopsModel.load(path, known)
    raise StartError(f"{path.name}: format {format_name!r} cannot be served")


def open_aside(path: Path, format_name: str, known: Known, processes: int) -> Model:
    """As `open_model`; what holds Python's lock while it runs gets `processes` of its own."""
    if format_name != SKOPS:
        return open_model(path, format_name, known)
    from slipway.serving.formats.process import ProcessModel

    return ProcessModel(path, format_name, known, processes)
