"""`Scaler` folded into the linear model behind it, or as two operators: the same numbers, and nothing else changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, RobustScaler, StandardScaler

from slipway.training.converter import to_onnx
from slipway.training.scalers import fold_scalers, spread_scalers

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


def converted(estimator: Any, rows: Any = X) -> Any:
    return to_onnx(estimator.fit(rows, Y), {"X": rows[:1]})


@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(with_mean=False), Ridge()),
        make_pipeline(RobustScaler(), MaxAbsScaler(), Ridge()),
        make_pipeline(SimpleImputer(), StandardScaler(), Ridge(fit_intercept=False)),
    ],
    ids=lambda estimator: "-".join(name for name, _ in estimator.steps),
)
def test_a_linear_model_scales_by_its_coefficients(estimator: Any) -> None:
    model = converted(estimator)
    before, others = answers(model, X), [name for name in operators(model) if name != "Scaler"]
    fold_scalers(model)
    onnx.checker.check_model(model)
    assert operators(model) == others
    for old, new in zip(before, answers(model, X), strict=True):
        if isinstance(old, np.ndarray) and old.dtype.kind == "f":
            np.testing.assert_allclose(new, old, rtol=2e-6, atol=2e-6)
        elif isinstance(old, np.ndarray):
            assert old.tolist() == new.tolist()
    odd = np.array([[np.nan, 1, 1, 1], [np.inf, 1, 1, 1], [1e30, 1, 1, 1]], dtype=np.float32)
    fresh = answers(converted(estimator), odd)[-1]
    if isinstance(fresh, np.ndarray):
        np.testing.assert_array_equal(np.isnan(answers(model, odd)[-1]), np.isnan(fresh))


@pytest.mark.parametrize(
    ("estimator", "rows"),
    [
        (make_pipeline(StandardScaler(), Ridge()), X + 1000),
        (make_pipeline(StandardScaler(), Ridge()), X * np.float32(1e-20)),
        (make_pipeline(StandardScaler(), Ridge()), X.astype(np.float64)),
        (make_pipeline(ColumnTransformer([("a", StandardScaler(), [0, 2]), ("b", StandardScaler(), [1])]), Ridge()), X),
        (make_pipeline(StandardScaler(), KNeighborsClassifier(3)), X),
    ],
    ids=["centre far from zero", "tiny values", "double precision", "something between", "no linear model"],
)
def test_what_could_change_the_answers_is_not_folded(estimator: Any, rows: Any) -> None:
    model = converted(estimator, rows)
    before = model.SerializeToString(deterministic=True)
    fold_scalers(model)
    assert model.SerializeToString(deterministic=True) == before


def test_scaled_values_that_somebody_else_takes_stay() -> None:
    model = converted(make_pipeline(StandardScaler(), LogisticRegression()))
    scaled = next(node.output[0] for node in model.graph.node if node.op_type == "Scaler")
    model.graph.output.append(onnx.helper.make_tensor_value_info(scaled, onnx.TensorProto.FLOAT, [None, 4]))
    before = operators(model)
    fold_scalers(model)
    assert operators(model) == before


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
