"""What is served: a logistic regression and a forest of 100 trees on scikit-learn's breast cancer data, and a wide model for
large requests; as joblib for the peers and as ONNX for us, out of the same fitted estimators, the latter as a build converts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from slipway.registry import records
from slipway.training.onnx_file import convert
from slipway.training.reference import FILE, Reference, build_reference

SEED = 7
WIDE = 100
"""Columns of the wide model."""


def make_models(folder: Path) -> None:
    """Writes ``<name>.joblib``, ``<name>/model.onnx`` and what training leaves beside it for drift, for logistic, forest and wide.
    What ONNX answers is held against the estimator."""
    import joblib
    from sklearn.datasets import load_breast_cancer, make_classification
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folder.mkdir(parents=True, exist_ok=True)
    data = load_breast_cancer()
    table, y = data.data.astype(np.float32), data.target
    wide = make_classification(2000, WIDE, random_state=SEED)
    fits: dict[str, tuple[Any, Any, Any]] = {
        "logistic": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), table, y),
        "forest": (RandomForestClassifier(100, random_state=SEED), table, y),
        "wide": (make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)), wide[0].astype(np.float32), wide[1]),
    }
    for name, (estimator, rows, truth) in fits.items():
        estimator.fit(rows, truth)
        joblib.dump(estimator, folder / f"{name}.joblib")
        converted = convert(estimator, {"X": rows[:1]}, ("label", "probabilities"))
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "model.onnx").write_bytes(converted)
        outputs = _agrees(converted, estimator, rows)
        (folder / name / FILE).write_bytes(_reference(rows, outputs).to_json())
    np.save(folder / "rows.npy", table[:64])


def _reference(rows: Any, outputs: dict[str, Any]) -> Reference:
    """As a build makes it."""
    X = records.TensorSpec(name="X", datatype="FP32", shape=(-1, rows.shape[1]))
    label = records.TensorSpec(name="label", datatype="INT64", shape=(-1,))
    probabilities = records.TensorSpec(name="probabilities", datatype="FP32", shape=(-1, 2))
    signature = records.Signature(inputs=(X,), outputs=(label, probabilities))
    return build_reference(signature, {"X": rows}, outputs, frozenset({"label"}))


def _agrees(converted: bytes, estimator: Any, rows: Any) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    label, probability = session.run(None, {session.get_inputs()[0].name: rows})
    if (label != estimator.predict(rows)).mean() > 0.001 or not np.allclose(
        probability, estimator.predict_proba(rows), rtol=1e-3, atol=1e-4
    ):
        raise RuntimeError("the converted model does not agree with the estimator")
    return {"label": label, "probabilities": probability}
