"""Every estimator of scikit-learn with data that it takes: how to make it, and what to fit it on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClusterMixin, OutlierMixin, RegressorMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import all_estimators

KINDS = ("classifier", "regressor", "outlier detector", "clusterer", "transformer")
Data = tuple[Any, Any]
"""X and y; y is None for estimators that take none."""

TEXTS = [
    f"{adjective} {noun} {verb} the {place}"
    for adjective in ("quick", "slow", "old", "new", "red")
    for noun in ("ship", "boat", "crew")
    for verb in ("leaves", "enters", "sees")
    for place in ("harbour", "sea", "storm")
]


@dataclass(frozen=True)
class Case:
    """One estimator. `make` gives it unfitted; `data` what it is fitted and compared on."""

    name: str
    kind: str
    make: Callable[[], Any]
    data: Callable[[], Data]


def classes() -> dict[str, tuple[str, type]]:
    """All public estimators that predict or transform: name to kind and class."""
    found: dict[str, tuple[str, type]] = {}
    for kind, wanted in (("classifier", "classifier"), ("regressor", "regressor"), ("clusterer", "cluster")):
        found |= {name: (kind, cls) for name, cls in all_estimators(wanted)}
    for name, cls in all_estimators():
        if issubclass(cls, OutlierMixin):
            found[name] = ("outlier detector", cls)
    for name, cls in all_estimators("transformer"):
        found.setdefault(name, ("transformer", cls))
    for name, cls in all_estimators():
        others = name in ("CountVectorizer", "TfidfVectorizer", "Pipeline", "GridSearchCV", "RandomizedSearchCV")
        mixtures = name in ("GaussianMixture", "BayesianGaussianMixture")
        if others or mixtures or issubclass(cls, ClusterMixin):
            found.setdefault(name, (_OTHERS.get(name, "clusterer"), cls))
    return found


def cases() -> list[Case]:
    """In the order of the table: by kind, then by name."""
    made = [Case(name, kind, _maker(name, cls), _DATA.get(name, _BY_KIND[kind])) for name, (kind, cls) in classes().items()]
    return sorted(made, key=lambda case: (KINDS.index(case.kind), case.name.lower()))


def iris() -> Data:
    return load_iris(return_X_y=True)


def cancer() -> Data:
    return load_breast_cancer(return_X_y=True)


def diabetes() -> Data:
    return load_diabetes(return_X_y=True)


def iris_rows() -> Data:
    return iris()[0], None


def _counts() -> Data:
    X, y = iris()
    return np.round(X * 10), y


def _categories() -> Data:
    X, y = iris()
    return np.floor(X).astype(np.int64), y


def _positive() -> Data:
    X, y = diabetes()
    return X - X.min(axis=0) + 0.1, y


def _few(rows: int) -> Callable[[], Data]:
    def data() -> Data:
        X, y = diabetes()
        return X[:rows], y[:rows]

    return data


def _two_targets() -> Data:
    X, y = diabetes()
    return X, np.column_stack([y, y**0.5])


def _two_labels() -> Data:
    X, y = iris()
    return X, np.column_stack([y > 0, y > 1]).astype(int)


def _one_feature() -> Data:
    X, y = diabetes()
    return X[:, [2]], y


def _half_labelled() -> Data:
    X, y = iris()
    return X, np.where(np.arange(len(y)) % 3 == 0, -1, y)


def _binary() -> Data:
    X, _ = iris()
    return (X.mean(axis=0) < X).astype(float), None


def _with_gaps() -> Data:
    X, y = iris()
    return np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X), y


def _towns() -> Data:
    rows = 120
    frame = pd.DataFrame({"town": ["Bonn", "Kyoto", "Lima"] * (rows // 3), "tariff": ["a", "b", "b", "c"] * (rows // 4)})
    return frame, np.arange(rows) % 2


def _mixed() -> Data:
    X, y = _towns()
    return X.assign(age=np.arange(len(X)) % 60 + 0.5), y


def _texts() -> Data:
    return list(TEXTS), None


def _dicts() -> Data:
    return [{"town": town, "age": age} for town in ("Bonn", "Lima") for age in range(30)], None


def _labels() -> Data:
    return ["a", "b", "c"] * 20, None


def _label_sets() -> Data:
    return [("a", "b"), ("c",), ("a",)] * 20, None


def _kernel() -> Data:
    X, _ = iris()
    return X @ X.T, None


def _pictures() -> Data:
    return np.random.default_rng(0).random((4, 8, 8)), None


_OTHERS = {
    "Pipeline": "classifier", "GridSearchCV": "classifier", "RandomizedSearchCV": "classifier",
    "CountVectorizer": "transformer", "TfidfVectorizer": "transformer",
}  # fmt: skip
_BY_KIND: dict[str, Callable[[], Data]] = {
    "classifier": iris,
    "regressor": diabetes,
    "outlier detector": iris_rows,
    "clusterer": iris_rows,
    "transformer": iris,
}
_DATA: dict[str, Callable[[], Data]] = {
    **dict.fromkeys(("MultinomialNB", "ComplementNB", "LatentDirichletAllocation", "TfidfTransformer"), _counts),
    **dict.fromkeys(("AdditiveChi2Sampler", "NMF", "MiniBatchNMF", "SkewedChi2Sampler"), _counts),
    **dict.fromkeys(("CategoricalNB",), _categories),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), _positive),
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSRegression", "PLSSVD", "MultiOutputRegressor", "RegressorChain"), _two_targets),
    **dict.fromkeys(("MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"), _two_targets),
    **dict.fromkeys(("ClassifierChain", "MultiOutputClassifier"), _two_labels),
    **dict.fromkeys(("LabelPropagation", "LabelSpreading", "SelfTrainingClassifier"), _half_labelled),
    **dict.fromkeys(("TunedThresholdClassifierCV", "FixedThresholdClassifier"), cancer),
    **dict.fromkeys(("SimpleImputer", "KNNImputer", "MissingIndicator"), _with_gaps),
    **dict.fromkeys(("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"), _towns),
    **dict.fromkeys(("ColumnTransformer", "Pipeline"), _mixed),
    **dict.fromkeys(("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"), _texts),
    **dict.fromkeys(("DictVectorizer", "FeatureHasher"), _dicts),
    **dict.fromkeys(("LabelBinarizer", "LabelEncoder"), _labels),
    "BernoulliRBM": _binary,
    "GaussianProcessRegressor": _few(100),
    "IsotonicRegression": _one_feature,
    "KernelCenterer": _kernel,
    "MultiLabelBinarizer": _label_sets,
    "PatchExtractor": _pictures,
    "QuantileRegressor": _few(150),
}


def _columns() -> Any:
    from sklearn.compose import ColumnTransformer

    return ColumnTransformer([("text", OneHotEncoder(), ["town", "tariff"]), ("number", StandardScaler(), ["age"])])


def _special(name: str, cls: Any) -> Callable[[], Any] | None:
    """Estimators that need arguments of their own."""
    logistic, ridge = LogisticRegression, Ridge
    grid = {"C": [0.1, 1.0]}
    made: dict[str, Callable[[], Any]] = {
        "ClassifierChain": lambda: cls(logistic()),
        "ColumnTransformer": _columns,
        "FeatureUnion": lambda: cls([("scaled", StandardScaler()), ("chosen", SelectFromModel(logistic()))]),
        "FunctionTransformer": lambda: cls(np.log1p),
        "GridSearchCV": lambda: cls(logistic(), grid),
        "Pipeline": lambda: cls([("columns", _columns()), ("model", logistic())]),
        "RandomizedSearchCV": lambda: cls(logistic(), grid, n_iter=2, random_state=0),
        "RegressorChain": lambda: cls(LinearRegression()),
        "SparseCoder": lambda: cls(np.eye(4)),
        "LocalOutlierFactor": lambda: cls(novelty=True),
        "GenericUnivariateSelect": lambda: cls(mode="k_best", param=2),
        "KBinsDiscretizer": lambda: cls(encode="ordinal", quantile_method="averaged_inverted_cdf"),
        "FeatureHasher": lambda: cls(n_features=8),
        "HashingVectorizer": lambda: cls(n_features=64),
        "QuantileTransformer": lambda: cls(n_quantiles=10, random_state=0),
        "SelectKBest": lambda: cls(k=2),
        "SequentialFeatureSelector": lambda: cls(logistic(), n_features_to_select=2),
        "StackingClassifier": lambda: cls([("a", logistic()), ("b", GaussianNB())], cv=2),
        "StackingRegressor": lambda: cls([("a", ridge()), ("b", LinearRegression())], cv=2),
        "TransformedTargetRegressor": lambda: cls(ridge(), func=np.log1p, inverse_func=np.expm1),
        "VotingClassifier": lambda: cls([("a", logistic()), ("b", GaussianNB())], voting="soft"),
        "VotingRegressor": lambda: cls([("a", ridge()), ("b", LinearRegression())]),
        **dict.fromkeys(("GaussianRandomProjection", "SparseRandomProjection"), lambda: cls(n_components=2, random_state=0)),
        **dict.fromkeys(("CCA", "PLSCanonical", "PLSRegression", "PLSSVD"), lambda: cls(n_components=2)),
    }
    return made.get(name)


def _maker(name: str, cls: Any) -> Callable[[], Any]:
    special = _special(name, cls)
    if special is not None:
        return special
    arguments: dict[str, Any] = {}
    parameters = inspect.signature(cls).parameters
    for wanted in ("estimator", "base_estimator"):
        needed = wanted in parameters and parameters[wanted].default is inspect.Parameter.empty
        if needed or (wanted in parameters and name == "SelfTrainingClassifier"):
            regression = issubclass(cls, RegressorMixin)
            arguments[wanted] = Ridge() if regression else LogisticRegression()
    if "random_state" in parameters:
        arguments["random_state"] = 0
    return lambda: cls(**arguments)
