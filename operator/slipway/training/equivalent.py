"""Fitted estimators as others that give the same answers and that skl2onnx knows.

Nothing here needs to be believed: whatever comes out is compared with the estimator itself before it is accepted. The
originals are never changed; what is rewritten is a shallow copy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def equivalent(estimator: Any, columns: Sequence[str] = ()) -> Any:
    """`estimator` with its parts replaced where that helps. `columns`: names of the table's columns when it will be fed
    as one matrix: parts that pick columns by name then pick them by place."""
    rewrite = _REWRITES.get(type(estimator).__name__)
    if rewrite is not None and type(estimator).__module__.startswith("sklearn."):
        return rewrite(estimator, tuple(columns))
    if _is_selector(estimator):
        return _selector(estimator)
    return estimator


def _pipeline(estimator: Any, columns: tuple[str, ...]) -> Any:
    steps = []
    for name, step in estimator.steps:
        steps.append((name, step if isinstance(step, str) else equivalent(step, columns)))
        columns = ()  # names are those of the table alone
        if type(step).__module__.startswith("xgboost."):
            # XGBoost rounds what it is given to single precision, and its converter takes nothing else
            steps.insert(-1, (f"{name}_rounded", _rounding()))
    return changed(estimator, steps=steps)


def _rounding() -> Any:
    from skl2onnx.sklapi import CastTransformer

    made = CastTransformer(dtype=np.float32)
    made.fitted_ = True
    return made


def _column_transformer(estimator: Any, columns: tuple[str, ...]) -> Any:
    def chosen(picked: Any) -> Any:
        if not columns or isinstance(picked, slice):
            return picked
        picks = [picked] if isinstance(picked, str) else list(picked)
        if not picks or not all(isinstance(pick, str) for pick in picks):
            return picked
        return [columns.index(pick) for pick in picks]

    transformers = [
        (name, part if isinstance(part, str) else equivalent(part), chosen(picked))
        for name, part, picked in estimator.transformers_
    ]
    made = changed(estimator, transformers_=transformers)
    if columns and hasattr(made, "feature_names_in_"):
        del made.feature_names_in_
    return made


def _union(estimator: Any, columns: tuple[str, ...]) -> Any:
    parts = [(name, p if isinstance(p, str) else equivalent(p, columns)) for name, p in estimator.transformer_list]
    return changed(estimator, transformer_list=parts)


def _search(estimator: Any, columns: tuple[str, ...]) -> Any:
    return equivalent(estimator.best_estimator_, columns)


def _frozen(estimator: Any, columns: tuple[str, ...]) -> Any:
    return equivalent(estimator.estimator, columns)


def _inner(estimator: Any, columns: tuple[str, ...]) -> Any:
    return equivalent(estimator.estimator_, columns)


def _voting(estimator: Any, columns: tuple[str, ...]) -> Any:
    # the option is about transform() alone, and only the other setting is known to the converter
    return changed(estimator, flatten_transform=False, estimators_=[equivalent(part, columns) for part in estimator.estimators_])


def _elimination(estimator: Any, columns: tuple[str, ...]) -> Any:
    from sklearn.pipeline import Pipeline

    return Pipeline([("selected", _selector(estimator)), ("model", equivalent(estimator.estimator_))])


def _is_selector(estimator: Any) -> bool:
    from sklearn.feature_selection import SelectorMixin

    return isinstance(estimator, SelectorMixin)


def _selector(estimator: Any) -> Any:
    """A selector by variance, of which those of the chosen features are 1 and the others 0."""
    from sklearn.feature_selection import VarianceThreshold

    made = VarianceThreshold(0.5)
    made.variances_ = estimator.get_support().astype(np.float64)
    made.n_features_in_ = len(made.variances_)
    return made


def _centres(estimator: Any, columns: tuple[str, ...]) -> Any:
    from sklearn.cluster import KMeans

    made = KMeans(len(estimator.cluster_centers_))
    made.cluster_centers_ = np.asarray(estimator.cluster_centers_, dtype=np.float64)
    made.n_features_in_ = made.cluster_centers_.shape[1]
    made.labels_ = np.zeros(0, dtype=np.int32)
    made._n_threads = 1
    return made


def _linear(estimator: Any, columns: tuple[str, ...]) -> Any:
    """A model that is linear in its inputs, by its answers to the unit vectors."""
    from sklearn.linear_model import LinearRegression

    count = estimator.n_features_in_
    at_zero = np.asarray(estimator.predict(np.zeros((1, count))), dtype=np.float64)
    slopes = np.asarray(estimator.predict(np.eye(count)), dtype=np.float64) - at_zero
    made = LinearRegression()
    made.coef_ = slopes.T if slopes.ndim == 2 else slopes.reshape(-1)
    made.intercept_ = at_zero[0]
    made.n_features_in_ = count
    return made


def _projection(estimator: Any, columns: tuple[str, ...]) -> Any:
    """A transformer that is linear around its mean, by what it makes of the unit vectors."""
    from sklearn.decomposition import PCA

    count = estimator.n_features_in_
    mean = getattr(estimator, "mean_", None)
    mean = getattr(estimator, "_x_mean", None) if mean is None else mean
    mean = np.zeros(count) if mean is None else np.asarray(mean, dtype=np.float64)
    made = PCA()
    turned = estimator.transform(np.eye(count) + mean)
    made.components_ = np.asarray(turned.toarray() if hasattr(turned, "toarray") else turned, dtype=np.float64).T
    made.mean_ = mean
    made.n_features_in_ = count
    made.n_components_ = len(made.components_)
    made.explained_variance_ = np.ones(made.n_components_)
    return made


def _dense_trees(estimator: Any, columns: tuple[str, ...]) -> Any:
    return changed(estimator, sparse_output=False, one_hot_encoder_=changed(estimator.one_hot_encoder_, sparse_output=False))


def changed(estimator: Any, **attributes: Any) -> Any:
    """A shallow copy of `estimator` with other attributes."""
    made = copy.copy(estimator)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


_REWRITES: dict[str, Callable[[Any, tuple[str, ...]], Any]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _column_transformer,
    "FeatureUnion": _union,
    "VotingClassifier": _voting,
    "RandomTreesEmbedding": _dense_trees,
    "FrozenEstimator": _frozen,
    "SelfTrainingClassifier": _inner,
    **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"), _search),
    **dict.fromkeys(("RFE", "RFECV"), _elimination),
    **dict.fromkeys(("AffinityPropagation", "MeanShift", "BisectingKMeans"), _centres),
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSRegression", "DummyRegressor"), _linear),
    **dict.fromkeys(("FactorAnalysis", "FastICA", "PLSSVD", "SparseRandomProjection"), _projection),
}
