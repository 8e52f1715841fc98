"""Loads an ONNX model for ``mlflow.pyfunc.load_model``. Runs on the machine of MLflow's client, next to the model.

MLflow's own loader flattens every output, so that a classifier with a label and a row of probabilities cannot be put into
one table. Here a table in gives a table out, with a column for each value of a row; arrays in give arrays out by name.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd


class OnnxModel:
    def __init__(self, path: str) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.inputs = self.session.get_inputs()
        self.outputs = [output.name for output in self.session.get_outputs()]

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        answers = dict(zip(self.outputs, self.session.run(self.outputs, self._feed(model_input)), strict=True))
        if not isinstance(model_input, pd.DataFrame):
            return answers
        return pd.DataFrame(dict(self._columns(answers)), index=model_input.index)

    def _feed(self, given: Any) -> dict[str, Any]:
        if isinstance(given, dict):
            return {tensor.name: self._array(given[tensor.name], tensor) for tensor in self.inputs}
        if len(self.inputs) == 1:
            values = given.to_numpy() if isinstance(given, pd.DataFrame) else given
            return {self.inputs[0].name: self._array(values, self.inputs[0])}
        if isinstance(given, pd.DataFrame):
            # One value per row in each input: a column for each, as a model over named columns takes them.
            return {tensor.name: self._array(given[tensor.name].to_numpy().reshape(-1, 1), tensor) for tensor in self.inputs}
        raise TypeError(f"the model has {len(self.inputs)} inputs: give a DataFrame, or a dict of arrays by name")

    @staticmethod
    def _array(values: Any, tensor: Any) -> Any:
        types: dict[str, Any] = {
            "tensor(float)": np.float32,
            "tensor(double)": np.float64,
            "tensor(int64)": np.int64,
            "tensor(bool)": np.bool_,
        }
        array = np.asarray(values)
        if tensor.type in types:
            return array.astype(types[tensor.type], copy=False)
        return array.astype(object) if tensor.type == "tensor(string)" else array

    @staticmethod
    def _columns(answers: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, values in answers.items():
            array = np.asarray(values)
            if array.ndim == 1:
                yield name, array
            else:
                rows = array.reshape(len(array), -1)
                for at in range(rows.shape[1]):
                    yield (f"{name}_{at}" if rows.shape[1] > 1 else name), rows[:, at]


def _load_pyfunc(path: str) -> OnnxModel:
    return OnnxModel(path)
