"""`Run.save_model` over estimators of many kinds: what is kept answers as the estimator does."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from slipway.registry.records import Signature
from slipway.training import ConversionFailed, FormatRefused
from slipway.training.layout import ModelNote
from tests.unit.training.support import make_run, output_of


def breast_cancer() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X, y


def wine_with_names() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_wine(return_X_y=True, as_frame=True)
    return X, y.map({0: "barolo", 1: "grignolino", 2: "barbera"})


def diabetes() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    return X, y


def scaled(estimator: BaseEstimator) -> BaseEstimator:
    return make_pipeline(StandardScaler(), estimator)


Data = Callable[[], tuple[pd.DataFrame, pd.Series]]
AS_ONNX: dict[str, tuple[BaseEstimator, Data]] = {
    "logistic": (scaled(LogisticRegression(C=0.3)), breast_cancer),
    "multinomial": (scaled(LogisticRegression()), wine_with_names),
    "forest": (RandomForestClassifier(20, random_state=0), breast_cancer),
    "forest_text_labels": (RandomForestClassifier(20, random_state=0), wine_with_names),
    "tree": (DecisionTreeClassifier(max_depth=4, random_state=0), breast_cancer),
    "boosting": (GradientBoostingClassifier(n_estimators=10, random_state=0), breast_cancer),
    "svc": (scaled(SVC()), breast_cancer),
    "linear_svc": (scaled(LinearSVC()), breast_cancer),
    "neighbours": (scaled(KNeighborsClassifier(5)), breast_cancer),
    "naive_bayes": (GaussianNB(), wine_with_names),
    "network": (scaled(MLPClassifier((8,), max_iter=50, random_state=0)), breast_cancer),
    "calibrated": (CalibratedClassifierCV(scaled(LogisticRegression()), cv=2), breast_cancer),
    "voting": (VotingClassifier([("a", scaled(LogisticRegression())), ("b", GaussianNB())], voting="soft"), breast_cancer),
    "stacking": (StackingClassifier([("a", scaled(LogisticRegression())), ("b", GaussianNB())], cv=2), breast_cancer),
    "grid_search": (GridSearchCV(scaled(LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2), breast_cancer),
    "linear": (LinearRegression(), diabetes),
    "ridge": (scaled(Ridge()), diabetes),
    "forest_regressor": (RandomForestRegressor(20, random_state=0), diabetes),
    "boosting_regressor": (GradientBoostingRegressor(n_estimators=10, random_state=0), diabetes),
    "clusters": (KMeans(3, n_init=1, random_state=0), wine_with_names),
    "outliers": (IsolationForest(n_estimators=20, random_state=0), breast_cancer),
    "transformer": (scaled(PCA(3)), wine_with_names),
}


@pytest.mark.parametrize("name", AS_ONNX)
def test_an_estimator_becomes_onnx_that_answers_as_it_does(tmp_path: Path, name: str) -> None:
    estimator, data = AS_ONNX[name]
    X, y = data()
    estimator.fit(X, y)
    saved = make_run(tmp_path).save_model(estimator, X=X)
    assert saved.format == "onnx", saved.conversion
    assert saved.conversion["labelMismatches"] == 0
    assert saved.conversion["rows"] == len(X)
    assert saved.signature is not None
    assert saved.signature.columns == tuple(X.columns)
    (spec,) = saved.signature.inputs
    assert (spec.name, spec.shape) == ("input", (-1, X.shape[1]))
    found = _predict_onnx(saved.path, saved.signature, X)
    expected = estimator.predict(X) if hasattr(estimator, "predict") else estimator.transform(X)
    if np.asarray(expected).dtype.kind in "OUi":
        assert [str(label) for label in found[0].ravel()] == [str(label) for label in expected]
    else:
        np.testing.assert_allclose(found[0].reshape(expected.shape), expected, rtol=1e-3, atol=1e-3 * np.std(expected))
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(found[1], estimator.predict_proba(X), atol=1e-4)


def _predict_onnx(path: Path, signature: Signature, X: pd.DataFrame) -> list[Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    types = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64, "BYTES": object}
    if len(signature.inputs) == 1:
        feed = {signature.inputs[0].name: X.to_numpy(types[signature.inputs[0].datatype])}
    else:
        feed = {spec.name: X[[spec.name]].to_numpy(types[spec.datatype]) for spec in signature.inputs}
    return list(session.run([spec.name for spec in signature.outputs], feed))


def people() -> tuple[pd.DataFrame, list[int]]:
    rows = 90
    X = pd.DataFrame(
        {
            "city": ["Bonn", "Kyoto", "Lima"] * (rows // 3),
            "age": np.arange(rows) % 60,
            "income": np.linspace(1000, 9000, rows),
            "member": [True, False] * (rows // 2),
        }
    )
    return X, [int(city == "Lima" and age > 20) for city, age in zip(X["city"], X["age"], strict=True)]


def mixed_pipeline() -> BaseEstimator:
    columns = ColumnTransformer(
        [("city", OneHotEncoder(handle_unknown="ignore"), ["city"]), ("rest", StandardScaler(), ["age", "income", "member"])]
    )
    return make_pipeline(columns, LogisticRegression())


def test_a_table_with_text_columns_gets_one_input_per_column(tmp_path: Path) -> None:
    X, y = people()
    model = mixed_pipeline().fit(X, y)
    saved = make_run(tmp_path).save_model(model, X=X)
    assert saved.format == "onnx", saved.conversion
    assert saved.signature is not None
    assert saved.signature.columns == ("city", "age", "income", "member")
    assert [spec.name for spec in saved.signature.inputs] == ["city", "age", "income", "member"]
    assert all(spec.shape == (-1, 1) for spec in saved.signature.inputs)
    assert saved.signature.inputs[0].datatype == "BYTES"
    assert saved.signature.example is not None
    assert saved.signature.example["city"] == [["Bonn"]]
    labels, probabilities = _predict_onnx(saved.path, saved.signature, X)
    assert list(labels) == list(model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-4)


def test_columns_picked_by_name_from_a_table_of_numbers_become_onnx_too(tmp_path: Path) -> None:
    X, y = breast_cancer()
    picked = ColumnTransformer([("few", StandardScaler(), ["mean radius", "mean area"])])
    model = make_pipeline(picked, LogisticRegression()).fit(X, y)
    saved = make_run(tmp_path).save_model(model, X=X)
    assert saved.format == "onnx", saved.conversion
    assert saved.signature is not None
    labels = _predict_onnx(saved.path, saved.signature, X)[0]
    assert list(labels) == list(model.predict(X))


def test_missing_numbers_reach_an_imputer(tmp_path: Path) -> None:
    X, y = breast_cancer()
    X = X.mask(np.random.default_rng(0).random(X.shape) < 0.1)
    saved = make_run(tmp_path).save_model(make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, y), X=X)
    assert saved.format == "onnx", saved.conversion
    assert saved.signature is not None
    assert saved.signature.example is not None
    assert np.isfinite(saved.signature.example["input"]).all()


def test_a_model_that_single_precision_spoils_is_kept_in_double(tmp_path: Path) -> None:
    X = np.linspace(0, 1, 200).reshape(-1, 1) + 1e6
    model = LinearRegression().fit(X, X.ravel())
    saved = make_run(tmp_path).save_model(model, X=X)
    assert saved.format == "onnx", saved.conversion
    assert saved.signature is not None
    assert saved.signature.inputs[0].datatype == "FP64"


class Odd(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator of the user's own, which no converter knows."""

    def fit(self, X: Any, y: Any) -> Odd:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_what_onnx_cannot_express_is_kept_as_skops_with_the_reason(tmp_path: Path) -> None:
    X, y = diabetes()
    model = KernelRidge().fit(X, y)
    saved = make_run(tmp_path).save_model(model, X=X)
    assert saved.format == "skops"
    assert saved.path.name == "model.skops"
    assert "skl2onnx" in saved.conversion["fallback"]
    assert saved.conversion["maxAbsDiff"] < 1e-9
    assert saved.signature is not None
    assert [spec.datatype for spec in saved.signature.inputs] == ["FP64"]
    assert [spec.name for spec in saved.signature.outputs] == ["variable"]
    assert sorted(path.name for path in saved.path.parent.iterdir()) == ["model.skops", "reference.json"]


def doubled(values: Any) -> Any:
    """A target function that no converter knows."""
    return values * 2


def halved(values: Any) -> Any:
    return values / 2


def test_a_target_function_of_ones_own_is_named_as_the_reason(tmp_path: Path) -> None:
    X, y = diabetes()
    model = TransformedTargetRegressor(LinearRegression(), func=doubled, inverse_func=halved).fit(X, y)
    with pytest.raises(ConversionFailed, match="inverse_func 'halved' of TransformedTargetRegressor has no ONNX form") as caught:
        make_run(tmp_path).save_model(model, X=X)
    untrusted = tuple(f"{function.__module__}.{function.__name__}" for function in (doubled, halved))
    assert all(name in str(caught.value) for name in (*untrusted, "SLIPWAY_TRUSTED_TYPES"))
    assert make_run(tmp_path, trusted=untrusted).save_model(model, X=X).format == "skops"


def test_missing_text_is_kept_as_skops(tmp_path: Path) -> None:
    X, y = people()
    X.loc[3, "city"] = None
    saved = make_run(tmp_path).save_model(mixed_pipeline().fit(X, y), X=X)
    assert saved.format == "skops"
    assert "text column 'city' holds missing values" in saved.conversion["fallback"]
    assert saved.signature is not None
    assert {spec.name: spec.datatype for spec in saved.signature.inputs}["city"] == "BYTES"
    assert [spec.name for spec in saved.signature.outputs] == ["label", "probabilities"]


def test_without_rows_to_compare_on_a_model_is_kept_as_skops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = breast_cancer()
    saved = make_run(tmp_path).save_model(scaled(LogisticRegression()).fit(X, y))
    assert saved.format == "skops"
    assert "no X was given" in saved.conversion["fallback"]
    assert "call save_model(model, X=X)" in capsys.readouterr().out
    assert saved.signature is not None
    assert saved.signature.columns == tuple(X.columns)
    assert saved.signature.inputs[0].shape == (-1, 30)


def test_either_format_is_a_promise_that_an_estimator_of_ones_own_cannot_keep(tmp_path: Path) -> None:
    X, y = breast_cancer()
    run = make_run(tmp_path)
    with pytest.raises(ConversionFailed, match=r"neither as ONNX \(.*\) nor as skops \(.*does not trust.*Odd") as caught:
        run.save_model(Odd().fit(X, y), X=X)
    assert "test_save_model.Odd" in str(caught.value)
    assert not list(output_of(tmp_path).model.iterdir())


def test_histogram_boosting_is_kept_one_way_or_the_other(tmp_path: Path) -> None:
    X, y = breast_cancer()
    saved = make_run(tmp_path).save_model(HistGradientBoostingClassifier(max_iter=10).fit(X, y), X=X)
    assert saved.format in ("onnx", "skops")
    assert saved.conversion["labelMismatches"] == 0


def test_a_gaussian_process_is_kept_exactly_or_not_as_onnx(tmp_path: Path) -> None:
    X, y = diabetes()
    model = GaussianProcessRegressor(alpha=1e-2).fit(X[:100], y[:100])
    saved = make_run(tmp_path).save_model(model, X=X)
    assert saved.conversion["maxAbsDiff"] <= 1e-4 * np.ptp(model.predict(X))


def test_texts_are_one_input(tmp_path: Path) -> None:
    texts = ["good ship", "bad ship", "good sea", "bad storm"] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0] * 5)
    saved = make_run(tmp_path).save_model(model, X=texts)
    assert saved.signature is not None
    assert [spec.datatype for spec in saved.signature.inputs] == ["BYTES"]
    assert saved.conversion["labelMismatches"] == 0


def test_an_array_has_no_column_names(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    saved = make_run(tmp_path).save_model(GaussianNB().fit(X, y), X=X)
    assert saved.signature is not None
    assert saved.signature.columns == ()
    assert saved.signature.example is not None
    assert np.asarray(saved.signature.example["input"]).shape == (1, 30)


def test_a_large_table_is_compared_on_a_sample(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    many = np.tile(X, (20, 1))
    saved = make_run(tmp_path).save_model(GaussianNB().fit(X, y), X=many)
    assert saved.conversion["rows"] == 2000


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LogisticRegression(), "is not fitted: call fit"),
        (LogisticRegression, "the class LogisticRegression"),
        (object(), "takes a scikit-learn estimator or the path"),
        ({"weights": 1}, "not a builtins.dict"),
        (None, "not a builtins.NoneType"),
    ],
)
def test_what_is_no_fitted_estimator_is_refused(tmp_path: Path, model: object, message: str) -> None:
    with pytest.raises(ConversionFailed, match=message):
        make_run(tmp_path).save_model(model, X=np.eye(3))


def test_rows_that_the_model_was_not_fitted_on_are_refused(tmp_path: Path) -> None:
    X, y = breast_cancer()
    model = GaussianNB().fit(X, y)
    with pytest.raises(ConversionFailed, match="cannot answer for the rows given as X"):
        make_run(tmp_path).save_model(model, X=X.to_numpy()[:, :5])


def test_the_last_save_counts(tmp_path: Path) -> None:
    X, y = breast_cancer()
    run = make_run(tmp_path)
    run.save_model(GaussianNB().fit(X, y), X=X, name="first")
    saved = run.save_model(scaled(LogisticRegression()).fit(X, y), X=X)
    assert sorted(path.name for path in output_of(tmp_path).model.iterdir()) == ["model.onnx", "reference.json"]
    note = output_of(tmp_path).read_note()
    assert isinstance(note, ModelNote)
    assert (note.path, note.conversion) == ("model.onnx", saved.conversion)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "a" * 64])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        make_run(tmp_path).save_model(GaussianNB(), name=name)


def test_an_onnx_file_is_taken_by_path_with_its_own_signature(tmp_path: Path) -> None:
    X, y = breast_cancer()
    made = make_run(tmp_path / "a").save_model(GaussianNB().fit(X, y), X=X)
    other = tmp_path / "export.bin"
    other.write_bytes(made.path.read_bytes())
    run = make_run(tmp_path / "b")
    saved = run.save_model(other, signature=Signature(columns=tuple(X.columns)))
    assert (saved.format, saved.path.name) == ("onnx", "export.bin")
    assert saved.signature is not None
    assert saved.signature.columns == tuple(X.columns)
    assert [spec.name for spec in saved.signature.outputs] == ["label", "probabilities"]
    assert saved.conversion == {"given": "onnx"}


def test_a_skops_file_is_taken_by_path(tmp_path: Path) -> None:
    X, y = breast_cancer()
    path = tmp_path / "clf.skops"
    skops.io.dump(GaussianNB().fit(X, y), path)
    saved = make_run(tmp_path / "out").save_model(str(path))
    assert saved.format == "skops"
    assert saved.signature is not None
    assert saved.signature.inputs[0].shape == (-1, 30)


def test_a_skops_file_of_untrusted_types_is_refused_by_name(tmp_path: Path) -> None:
    X, y = breast_cancer()
    path = tmp_path / "clf.skops"
    skops.io.dump(Odd().fit(X, y), path)
    with pytest.raises(FormatRefused, match=r"does not trust: .*test_save_model\.Odd"):
        make_run(tmp_path / "out").save_model(path)


def test_a_classifier_with_a_zipmap_is_refused_with_the_fix(tmp_path: Path) -> None:
    from skl2onnx import to_onnx

    X, y = load_breast_cancer(return_X_y=True)
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(GaussianNB().fit(X, y), X[:1].astype(np.float32)).SerializeToString())
    with pytest.raises(FormatRefused, match="zipmap"):
        make_run(tmp_path / "out").save_model(path)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(FormatRefused, match=r"model.h5 is no model that Slipway knows"):
        make_run(tmp_path / "out").save_model(path)
    with pytest.raises(FormatRefused, match="not bytes"):
        make_run(tmp_path / "out").save_model(b"\x80\x04")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        make_run(tmp_path / "out").save_model(tmp_path / "nothing.onnx")
    assert not list(output_of(tmp_path / "out").model.iterdir())


@pytest.mark.parametrize("estimator", [scaled(LogisticRegression()), RandomForestClassifier(5, random_state=1)])
@pytest.mark.parametrize("given", [True, False])
def test_the_same_model_has_the_same_bytes(tmp_path: Path, estimator: BaseEstimator, given: bool) -> None:
    X, y = breast_cancer()
    contents = set()
    for number in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved = make_run(tmp_path / str(number)).save_model(estimator.fit(X, y), X=X if given else None)
        contents.add(saved.path.read_bytes())
    assert len(contents) == 1
