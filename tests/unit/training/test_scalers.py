"""`Scaler` as two operators: the same numbers, and nothing else changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler

from slipway.training.converter import to_onnx
from slipway.training.scalers import spread_scalers

RNG = np.random.default_rng(3)
X = RNG.normal(5, 30, size=(200, 4)).astype(np.float32)
Y = (X[:, 0] > 5).astype(int)


def answers(model: Any, rows: Any) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: rows}))


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(with_mean=False), Ridge()),
        make_pipeline(RobustScaler(), MaxAbsScaler(), Ridge()),
        make_pipeline(SimpleImputer(), StandardScaler(), Ridge()),
        make_pipeline(ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", StandardScaler(), [1])]), Ridge()),
    ],
    ids=lambda estimator: "-".join(name for name, _ in estimator.steps),
)
def test_the_answers_are_the_same_to_the_last_bit(estimator: Any) -> None:
    model = to_onnx(estimator.fit(X, Y), {"X": X[:1]})
    before, scalers = answers(model, X), operators(model).count("Scaler")
    spread_scalers(model)
    onnx.checker.check_model(model)
    assert scalers > 0
    assert operators(model).count("Scaler") == 0
    for old, new in zip(before, answers(model, X), strict=True):
        assert old.tobytes() == new.tobytes() if isinstance(old, np.ndarray) else old == new


def test_double_precision_is_left_as_it_is() -> None:
    """`Scaler` takes it, and gives single precision."""
    model = to_onnx(make_pipeline(StandardScaler(), Ridge()).fit(X, Y), {"X": X[:1].astype(np.float64)})
    before = operators(model)
    spread_scalers(model)
    assert operators(model) == before


def test_a_model_without_a_scaler_is_left_as_it_is() -> None:
    plain = to_onnx(Ridge().fit(X, Y), {"X": X[:1]})
    before = plain.SerializeToString(deterministic=True)
    spread_scalers(plain)
    assert plain.SerializeToString(deterministic=True) == before
