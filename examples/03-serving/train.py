"""A model of scikit-learn's wine data as ONNX, in a folder with the names of its columns: ``train.py [FOLDER]``."""

import json
import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "wine")
folder.mkdir(exist_ok=True)
data = load_wine()
rows = data.data.astype(np.float32)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, data.target)
(folder / "model.onnx").write_bytes(to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString())
columns = [name.replace("/", "_") for name in data.feature_names]
signature = {
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, len(columns)]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
    ],
    "columns": columns,
    "example": {"X": rows[:1].tolist()},
}
(folder / "signature.json").write_text(json.dumps(signature))
