"""skl2onnx, told what it needs to know: options by part of the estimator, and one correction."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from slipway.training.after import rename
from slipway.training.equivalent import changed
from slipway.training.features import Feed

GRAPH_NAME = "model"
"""A fixed name of the graph: skl2onnx's default is random, and the same model must have the same bytes."""
TARGET_OPSET = {"": 21, "ai.onnx.ml": 3}
"""Old enough for the servers in use, and the newest of ``ai.onnx.ml`` that all of skl2onnx's converters write."""
_WORDS = r"(?u)\b\w\w+\b"
_WORDS_RE2 = r"[\p{L}\p{N}_]{2,}"
"""scikit-learn's default pattern of a word in the syntax of ONNX Runtime's tokenizer; skl2onnx's own guess, ``[a-zA-Z0-9_]+``,
cuts words at every letter beyond ASCII."""
_LOCALE = "C.UTF-8"
"""Lower-casing of letters beyond ASCII that is in every Debian and Alpine image; skl2onnx's default, en_US.UTF-8, is not."""


def to_onnx(estimator: Any, feed: Feed) -> Any:
    """`estimator` as an ``onnx.ModelProto`` with inputs called as in `feed`. Raises whatever the converter stumbles
    over."""
    from skl2onnx import convert_sklearn

    from slipway.training import boosters

    _correct_histogram_boosting()
    boosters.register()
    # skl2onnx changes names that are no identifiers, and then misses the columns of that name: it gets plain ones
    plain = {name: f"column_{at}" for at, name in enumerate(feed)} if len(feed) > 1 else {name: name for name in feed}
    if len(feed) > 1:
        estimator = renamed(estimator, plain)
    types = [(plain[name], _type(array)) for name, array in feed.items()]
    model = convert_sklearn(estimator, GRAPH_NAME, types, target_opset=dict(TARGET_OPSET), options=options_of(estimator))
    for name, short in plain.items():
        if name != short:
            rename(model.graph, short, name)
    return model


def options_of(estimator: Any) -> dict[int, dict[str, Any]]:
    """Options for `estimator` and its parts, by id: plain arrays of probabilities instead of lists of maps, words as
    scikit-learn splits them, raw scores where a calibration takes them."""
    options: dict[int, dict[str, Any]] = {}
    for part in parts(estimator):
        kind = type(part).__name__
        if kind in ("CountVectorizer", "TfidfVectorizer"):
            own: dict[str, Any] = {"locale": _LOCALE}
            if part.analyzer == "word" and part.token_pattern == _WORDS:
                own["tokenexp"] = _WORDS_RE2
            options[id(part)] = own
        elif kind == "CalibratedClassifierCV":
            for calibrated in part.calibrated_classifiers_:
                last = _last(calibrated.estimator)
                if last is not calibrated.estimator and hasattr(last, "decision_function"):
                    options[id(last)] = {"raw_scores": True, "zipmap": False}
    # skl2onnx sets an option of its own for the last step of a pipeline that has none here, though it may not know it
    pipelines = [part for part in parts(estimator) if type(part).__name__ == "Pipeline"]
    for last in map(_last, (estimator, *pipelines)):
        if hasattr(last, "classes_"):
            options.setdefault(id(last), {"zipmap": False} if "zipmap" in _allowed(last) else {})
    return options


def parts(estimator: Any) -> Iterator[Any]:
    """`estimator` and all fitted estimators inside it."""
    pending, seen = [estimator], set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple):
            pending.extend(part)
        elif hasattr(part, "get_params") and not isinstance(part, type):
            yield part
            pending.extend(vars(part).values())
        elif type(part).__name__ == "_CalibratedClassifier":
            pending.append(part.estimator)


def renamed(estimator: Any, names: dict[str, str]) -> Any:
    """`estimator` with the columns that it picks by name called by their new ones."""

    def picked(columns: Any) -> Any:
        if isinstance(columns, str):
            return names.get(columns, columns)
        if isinstance(columns, list | tuple) or hasattr(columns, "tolist"):
            return [names.get(column, column) if isinstance(column, str) else column for column in columns]
        return columns

    kind = type(estimator).__name__
    if kind == "Pipeline" and not isinstance(estimator.steps[0][1], str):
        (first, step), *rest = estimator.steps
        return changed(estimator, steps=[(first, renamed(step, names)), *rest])
    if kind == "FeatureUnion":
        union = [(n, p if isinstance(p, str) else renamed(p, names)) for n, p in estimator.transformer_list]
        return changed(estimator, transformer_list=union)
    if kind == "ColumnTransformer":
        made = changed(estimator, transformers_=[(n, part, picked(columns)) for n, part, columns in estimator.transformers_])
        if hasattr(estimator, "feature_names_in_"):
            import numpy as np

            made.feature_names_in_ = np.array([names.get(name, name) for name in estimator.feature_names_in_], dtype=object)
        return made
    return estimator


def _last(estimator: Any) -> Any:
    while type(estimator).__name__ == "Pipeline":
        estimator = estimator.steps[-1][1]
    return estimator


def _allowed(estimator: Any) -> set[str]:
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    alias = sklearn_operator_name_map.get(type(estimator))
    try:
        return set(get_converter(alias).get_allowed_options() or ()) if alias else set()
    except ValueError:  # there is no converter: the conversion itself will say so
        return set()


def _type(array: Any) -> Any:
    from skl2onnx.common import data_types

    kinds = {"f4": data_types.FloatTensorType, "f8": data_types.DoubleTensorType, "i8": data_types.Int64TensorType}
    return kinds.get(array.dtype.str[1:], data_types.StringTensorType)([None, array.shape[1]])


@cache
def _correct_histogram_boosting() -> None:
    """skl2onnx 1.20 writes booleans where ONNX wants integers, which protobuf 6 and newer refuse."""
    from skl2onnx.common import _registration

    for alias in ("SklearnHistGradientBoostingClassifier", "SklearnHistGradientBoostingRegressor"):
        registered = _registration.get_converter(alias)
        original = registered._fct

        def corrected(scope: Any, operator: Any, container: Any, original: Any = original) -> None:
            add_node = container.add_node

            def add(*given: Any, **attributes: Any) -> None:
                tracks = attributes.get("nodes_missing_value_tracks_true")
                if tracks is not None:
                    attributes["nodes_missing_value_tracks_true"] = [int(track) for track in tracks]
                add_node(*given, **attributes)

            container.add_node = add
            try:
                original(scope, operator, container)
            finally:
                del container.add_node

        registered._fct = corrected
