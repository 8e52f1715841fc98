"""Estimators that become ONNX by way of another one, or with more told to the converter: answers stay the estimator's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import xgboost
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.decomposition import FastICA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFE, SequentialFeatureSelector
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, RandomizedSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, PowerTransformer, StandardScaler
from sklearn.svm import LinearSVC

from slipway.training.run import SavedModel
from tests.unit.training.support import make_run

TEXTS = ["Über die See, a Ship!", "the SHIP's old crew x y z", "don't stop ÉTÉ naïve", " under_score 12 3", "Ω is a LETTER"] * 6


def saved_as_onnx(folder: Path, model: Any, X: Any) -> tuple[SavedModel, dict[str, Any]]:
    """The model as it was kept, and its answers to X by output."""
    saved = make_run(folder).save_model(model, X=X)
    assert saved.format == "onnx", saved.conversion
    assert saved.signature is not None
    session = onnxruntime.InferenceSession(str(saved.path), providers=["CPUExecutionProvider"])
    types = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "BYTES": object}
    inputs = saved.signature.inputs
    if len(inputs) == 1:
        feed = {inputs[0].name: np.asarray(X, dtype=types[inputs[0].datatype]).reshape(len(X), -1)}
    else:
        feed = {spec.name: X[[spec.name]].to_numpy(types[spec.datatype]) for spec in inputs}
    names = [spec.name for spec in saved.signature.outputs]
    return saved, dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize(
    "vectoriser",
    [
        TfidfVectorizer(),
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(lowercase=False),
        TfidfVectorizer(stop_words="english"),
        CountVectorizer(token_pattern=r"[a-z]+"),
        CountVectorizer(analyzer="char", ngram_range=(2, 3)),
    ],
    ids=str,
)
def test_texts_beyond_ascii_are_split_and_lowered_as_in_training(tmp_path: Path, vectoriser: BaseEstimator) -> None:
    model = make_pipeline(vectoriser, LogisticRegression()).fit(TEXTS, [0, 1, 0, 1, 1] * 6)
    saved, found = saved_as_onnx(tmp_path, model, TEXTS)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(TEXTS), atol=1e-5)
    unseen = ["ÜBER ALLES", "été et naïve", "Ω"]
    session = onnxruntime.InferenceSession(str(saved.path), providers=["CPUExecutionProvider"])
    answer = session.run(["probabilities"], {"input": np.array(unseen, dtype=object).reshape(-1, 1)})[0]
    np.testing.assert_allclose(answer, model.predict_proba(unseen), atol=1e-5)


def test_texts_and_columns_whose_names_are_no_identifiers_go_together(tmp_path: Path) -> None:
    X = pd.DataFrame({"the text": TEXTS, "a price (EUR)": np.arange(30) / 3, "town/place": ["Bonn", "Kyoto", "Lima"] * 10})
    columns = ColumnTransformer(
        [
            ("text", TfidfVectorizer(), "the text"),
            ("town", OneHotEncoder(handle_unknown="ignore"), ["town/place"]),
            ("price", StandardScaler(), ["a price (EUR)"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(X, [0, 1, 1] * 10)
    saved, found = saved_as_onnx(tmp_path, model, X)
    assert [spec.name for spec in saved.signature.inputs] == list(X.columns)
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
def test_histogram_boosting_becomes_onnx(tmp_path: Path, classes: int, gaps: bool) -> None:
    X, y = (load_breast_cancer if classes == 2 else load_wine)(return_X_y=True, as_frame=True)
    if gaps:
        X = X.mask(np.random.default_rng(0).random(X.shape) < 0.2)
    model = HistGradientBoostingClassifier(max_iter=10).fit(X, y)
    _, found = saved_as_onnx(tmp_path, model, X)
    assert list(found["label"]) == list(model.predict(X))
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-5)


BOOSTERS: dict[str, tuple[Any, bool]] = {
    "xgboost": (xgboost.XGBClassifier(n_estimators=10, max_depth=3), True),
    "xgboost_regressor": (xgboost.XGBRegressor(n_estimators=10, max_depth=3), False),
    "xgboost_in_a_pipeline": (make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=5)), True),
    "lightgbm": (lightgbm.LGBMClassifier(n_estimators=10, verbose=-1), True),
    "lightgbm_regressor": (lightgbm.LGBMRegressor(n_estimators=10, verbose=-1), False),
    "lightgbm_in_a_pipeline": (make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)), True),
}


@pytest.mark.parametrize("name", BOOSTERS)
def test_boosted_trees_of_other_libraries_become_onnx(tmp_path: Path, name: str) -> None:
    model, classifies = BOOSTERS[name]
    X, y = (load_breast_cancer if classifies else load_diabetes)(return_X_y=True)
    model.fit(X, y)
    saved, found = saved_as_onnx(tmp_path, model, X)
    assert saved.conversion["labelMismatches"] == 0
    if classifies:
        assert list(found["label"]) == list(model.predict(X))
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-5)
    else:
        np.testing.assert_allclose(found["variable"].ravel(), model.predict(X), rtol=1e-3)


@pytest.mark.parametrize("text", [False, True], ids=["numbers", "texts"])
@pytest.mark.parametrize("positive", [0, 1])
def test_a_threshold_of_its_own_decides_the_label(tmp_path: Path, text: bool, positive: int) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["bad", "good"]) if text else np.array([0, 1])
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    model = FixedThresholdClassifier(inner, threshold=0.9, pos_label=names[positive], response_method="predict_proba")
    model.fit(X, names[y])
    _, found = saved_as_onnx(tmp_path, model, X)
    assert [str(label) for label in found["label"]] == [str(label) for label in model.predict(X)]
    assert (model.predict(X) != model.estimator_.predict(X)).any(), "the threshold matters"


def test_a_tuned_threshold_does_too(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    model = TunedThresholdClassifierCV(make_pipeline(StandardScaler(), LogisticRegression())).fit(X, y)
    _, found = saved_as_onnx(tmp_path, model, X)
    assert list(found["label"]) == list(model.predict(X))


@pytest.mark.parametrize(
    "target",
    [
        {"func": np.log1p, "inverse_func": np.expm1},
        {"func": np.sqrt, "inverse_func": np.square},
        {"transformer": StandardScaler()},
        {"transformer": MinMaxScaler((1, 3))},
    ],
    ids=["log1p", "sqrt", "standard", "minmax"],
)
def test_a_transformed_target_is_turned_back(tmp_path: Path, target: dict[str, Any]) -> None:
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), TransformedTargetRegressor(Ridge(), **target)).fit(X, y)
    _, found = saved_as_onnx(tmp_path, model, X)
    np.testing.assert_allclose(found["variable"].ravel(), model.predict(X), rtol=1e-3)


def test_a_transformed_target_without_known_inverse_is_kept_otherwise(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    saved = make_run(tmp_path).save_model(TransformedTargetRegressor(Ridge(), transformer=PowerTransformer()).fit(X, y), X=X)
    assert saved.format == "skops"
    assert "the inverse of PowerTransformer" in saved.conversion["fallback"]


LABELLED: dict[str, BaseEstimator] = {
    "random_search": RandomizedSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1, 2]}, n_iter=2
    ),
    "elimination": RFE(LogisticRegression(max_iter=1000)),
    "forward_selection": make_pipeline(SequentialFeatureSelector(GaussianNB(), n_features_to_select=2), GaussianNB()),
    "union": make_pipeline(FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]), LogisticRegression()),
    "mixture": GaussianMixture(3, random_state=0),
}


@pytest.mark.parametrize("name", LABELLED)
def test_labels_are_the_estimators_own(tmp_path: Path, name: str) -> None:
    X, y = load_iris(return_X_y=True)
    model = LABELLED[name].fit(X, y)
    _, found = saved_as_onnx(tmp_path, model, X)
    assert list(found["label"]) == list(model.predict(X))


def test_outputs_are_called_the_same_whatever_the_converter_calls_them(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    for at, model in enumerate((FeatureUnion([("a", StandardScaler()), ("b", FastICA(2, random_state=0))]), StandardScaler())):
        saved, found = saved_as_onnx(tmp_path / str(at), model.fit(X, y), X)
        np.testing.assert_allclose(found["variable"], model.transform(X), atol=1e-4)
        assert [spec.name for spec in saved.signature.outputs] == ["variable"]


def test_scores_that_are_no_probabilities_are_not_called_so(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    _, found = saved_as_onnx(tmp_path, make_pipeline(StandardScaler(), LinearSVC()).fit(X, y), X)
    assert set(found) == {"label"}


def test_the_estimator_itself_is_left_as_it_was(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    columns = ColumnTransformer([("some", StandardScaler(), list(X.columns[:2]))])
    model = make_pipeline(columns, LinearRegression()).fit(X, y)
    before = model.predict(X)
    saved_as_onnx(tmp_path, model, X)
    assert model[0].transformers_[0][2] == list(X.columns[:2])
    np.testing.assert_array_equal(model.predict(X), before)
