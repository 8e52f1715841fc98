"""scikit-learn estimators in skops files: for what ONNX cannot express. Only trusted types are loaded.

What an estimator answers is asked for by `slipway.training.compare.answers`, as it was when the version was accepted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.serving.datatypes import datatype_of
from slipway.serving.errors import ModelFailed, StartError, first_line
from slipway.serving.formats import Known
from slipway.serving.formats.known import completed, recorded
from slipway.serving.signature import ANY, Signature, Tensor
from slipway.serving.tensors import Array
from slipway.training.compare import answers
from slipway.training.errors import FormatRefused

INPUT = "input"
"""The name that skl2onnx gives, so that a client need not know the format."""


class SkopsModel:
    """An estimator with what it predicts, or with what it transforms."""

    format = "skops"

    def __init__(self, estimator: Any, signature: Signature) -> None:
        self.signature = signature
        self._estimator = estimator
        self._names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]

    @classmethod
    def load(cls, path: Path, known: Known) -> SkopsModel:
        """Raises StartError, for types that are not trusted and for packages that the image lacks too."""
        estimator = _read(path, known.trusted_types)
        if not hasattr(estimator, "predict") and not hasattr(estimator, "transform"):
            raise StartError(
                f"{path.name} holds a {type(estimator).__name__}, which has neither predict() nor transform(): it cannot be served"
            )
        record = recorded(known.signature)
        inputs = record.inputs or _inputs(estimator, path)
        columns = record.columns or tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))
        draft = cls(estimator, Signature(inputs, (), columns, record.example))
        signature = completed(Signature(inputs, record.outputs or draft._outputs(path), columns), record)
        return cls(estimator, signature)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """One call of the estimator's methods. Raises ModelFailed, MemoryError."""
        try:
            found = self._answers(arrays)
            values = [found[tensor.name] for tensor in self.signature.outputs]
        except MemoryError:
            raise
        except Exception as error:  # whatever an estimator stumbles over
            raise ModelFailed(f"{type(error).__name__}: {first_line(error)}") from error
        return [
            _shaped(value, tensor) if tensor.datatype == "BYTES" else _shaped(value, tensor).astype(tensor.dtype, copy=False)
            for value, tensor in zip(values, self.signature.outputs, strict=True)
        ]

    def _answers(self, arrays: Sequence[Array]) -> dict[str, Array]:
        return answers(self._estimator, self._table(arrays)).outputs

    def _table(self, arrays: Sequence[Array]) -> Any:
        """The inputs as the estimator was fitted: a table by column name, a matrix, or a sequence of texts."""
        inputs = self.signature.inputs
        if len(inputs) > 1:
            import pandas as pd

            return pd.DataFrame({t.name: array.reshape(-1) for t, array in zip(inputs, arrays, strict=True)})
        if inputs[0].datatype == "BYTES" and inputs[0].width == 1:
            return arrays[0].reshape(-1)
        if self._names:
            try:
                import pandas as pd
            except ImportError:
                warnings.filterwarnings("ignore", message="X does not have valid feature names")
            else:
                return pd.DataFrame(arrays[0], columns=self._names)
        return arrays[0]

    def _outputs(self, path: Path) -> tuple[Tensor, ...]:
        """Outputs as a first call shows them."""
        try:
            found = self._answers(self.signature.sample())
        except Exception as error:
            raise StartError(f"{path.name}: it fails on a first row: {type(error).__name__}: {first_line(error)}") from error
        tensors = []
        for name, value in found.items():
            datatype = "INT64" if value.dtype.kind in "iu" else datatype_of(value.dtype)
            if datatype is None:
                raise StartError(f"{path.name}: {name} is an array of {value.dtype}, which cannot be served")
            tensors.append(Tensor(name, datatype, (ANY, *value.shape[1:])))
        return tuple(tensors)


def _read(path: Path, trusted: tuple[str, ...]) -> Any:
    try:
        from slipway.training.skops_file import load

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a version of scikit-learn other than the writer's is said in the record
            return load(path, trusted)
    except FormatRefused as error:
        raise StartError(f"{error} (slipway serve: --trusted-types)") from error
    except ModuleNotFoundError as error:
        raise StartError(
            f"{path.name} is a skops file, and this image lacks the package {error.name}: serve it with an image that has "
            "scikit-learn, skops and pandas (an AppBuild with them in requirements), or convert it to ONNX"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes skops raise whatever its reader stumbles over
        raise StartError(f"{path.name}: skops cannot load it: {type(error).__name__}: {first_line(error)}") from error


def _inputs(estimator: Any, path: Path) -> tuple[Tensor, ...]:
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise StartError(
            f"{path.name}: {type(estimator).__name__} does not say what it takes; give a folder with signature.json "
            "beside it, or register the model, which keeps its signature"
        )
    return (Tensor(INPUT, "FP64", (ANY, int(count))),)


def _shaped(value: Array, tensor: Tensor) -> Array:
    """`value` with as many dimensions as the signature says: a column vector where the record has one."""
    return value.reshape(-1, 1) if value.ndim == 1 and len(tensor.shape) == 2 else value
