"""What a few estimators do after the model inside them has answered, as ONNX nodes: the inverse of a transformed target, a
threshold of its own on a probability."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Edit = Callable[[Any], None]
"""Changes an ``onnx.ModelProto`` in place."""


class NotWritable(Exception):
    """A last turn that has no ONNX form here."""


@dataclass(frozen=True)
class Peeled:
    """An estimator without its last turn: `inner` is converted, then each of `edits` is applied to the graph."""

    inner: Any
    edits: tuple[Edit, ...] = ()


def peel(estimator: Any) -> Peeled:
    """Takes off what this module knows; anything else is its own inner. Raises NotWritable for a turn that cannot be
    written, such as a function of the user's own."""
    kind = type(estimator).__name__
    if kind == "Pipeline" and not isinstance(estimator.steps[-1][1], str):
        last = peel(estimator.steps[-1][1])
        if not last.edits:
            return Peeled(estimator)
        from sklearn.pipeline import Pipeline

        return Peeled(Pipeline([*estimator.steps[:-1], (estimator.steps[-1][0], last.inner)]), last.edits)
    if kind in ("GridSearchCV", "RandomizedSearchCV") and hasattr(estimator, "best_estimator_"):
        return peel(estimator.best_estimator_)
    if kind == "TransformedTargetRegressor":
        inner = peel(estimator.regressor_)
        return Peeled(inner.inner, (*inner.edits, _inverse(estimator.transformer_)))
    if kind in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        return Peeled(estimator.estimator_, (_threshold(estimator),))
    return Peeled(estimator)


def _inverse(transformer: Any) -> Edit:
    kind = type(transformer).__name__
    if kind == "FunctionTransformer":
        function = transformer.inverse_func
        name = "identity" if function is None else getattr(function, "__name__", "")
        if name not in _FUNCTIONS or (function is not None and not isinstance(function, np.ufunc)):
            raise NotWritable(f"the inverse_func {name!r} of TransformedTargetRegressor has no ONNX form")
        return _apply(_FUNCTIONS[name])
    if kind == "StandardScaler":
        scale = 1.0 if transformer.scale_ is None else transformer.scale_
        return _apply([("Mul", scale), ("Add", 0.0 if transformer.mean_ is None else transformer.mean_)])
    if kind == "MinMaxScaler":
        return _apply([("Sub", transformer.min_), ("Div", transformer.scale_)])
    if kind == "MaxAbsScaler":
        return _apply([("Mul", transformer.scale_)])
    if kind == "RobustScaler":
        scale = 1.0 if transformer.scale_ is None else transformer.scale_
        return _apply([("Mul", scale), ("Add", 0.0 if transformer.center_ is None else transformer.center_)])
    raise NotWritable(f"the inverse of {kind} in TransformedTargetRegressor has no ONNX form here")


_FUNCTIONS: dict[str, list[tuple[str, Any]]] = {
    "identity": [],
    "exp": [("Exp", None)],
    "log": [("Log", None)],
    "expm1": [("Exp", None), ("Sub", 1.0)],
    "log1p": [("Add", 1.0), ("Log", None)],
    "sqrt": [("Sqrt", None)],
    "square": [("Mul", "itself")],
    "negative": [("Neg", None)],
    "reciprocal": [("Reciprocal", None)],
}
"""numpy's functions as steps: an operator, and its second operand if it has one."""


def _apply(steps: list[tuple[str, Any]]) -> Edit:
    """Puts `steps` behind the one output of a graph."""

    def edit(model: Any) -> None:
        from onnx import helper, numpy_helper

        graph = model.graph
        output = graph.output[0]
        dtype = helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        now = f"{output.name}_before_inverse"
        rename(graph, output.name, now)
        for at, (operator, operand) in enumerate(steps):
            inputs = [now]
            if operand is not None:
                second = now if isinstance(operand, str) else f"inverse_{at}_operand"
                if second != now:
                    graph.initializer.append(numpy_helper.from_array(np.atleast_1d(operand).astype(dtype), second))
                inputs.append(second)
            graph.node.append(helper.make_node(operator, inputs, [f"inverse_{at}"], name=f"inverse_{at}"))
            now = f"inverse_{at}"
        graph.node.append(helper.make_node("Identity", [now], ["variable"], name="inverse_end"))
        output.name = "variable"

    return edit


def _threshold(estimator: Any) -> Edit:
    """Says the positive class where its probability reaches the threshold."""
    classes = list(estimator.classes_)
    if len(classes) != 2 or getattr(estimator, "response_method", "auto") not in ("auto", "predict_proba"):
        raise NotWritable("a threshold is written for two classes and their probabilities only")
    if not hasattr(estimator.estimator_, "predict_proba"):
        raise NotWritable("a threshold on something else than a probability has no ONNX form here")
    label = estimator.pos_label if hasattr(estimator, "pos_label") else estimator._curve_scorer._get_pos_label()
    positive = 1 if label is None else classes.index(label)
    value = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", "auto"))
    threshold = 0.5 if value == "auto" else float(value)

    def edit(model: Any) -> None:
        from onnx import TensorProto, helper, numpy_helper

        graph = model.graph
        names = [output.name for output in graph.output]
        label, probabilities = graph.output[names.index("label")], graph.output[names.index("probabilities")]
        kind = probabilities.type.tensor_type.elem_type
        rename(graph, label.name, "label_of_one_half")
        order = [classes[1 - positive], classes[positive]]
        text = label.type.tensor_type.elem_type == TensorProto.STRING
        mapped = np.array([str(value) for value in order], dtype=object) if text else np.array(order, dtype=np.int64)
        bound = np.array([threshold], dtype=helper.tensor_dtype_to_np_dtype(kind))
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.array(positive, dtype=np.int64), "threshold_class"),
                numpy_helper.from_array(bound, "threshold_value"),
                helper.make_tensor("threshold_labels", label.type.tensor_type.elem_type, [2], _values(mapped)),
            ]
        )
        graph.node.extend(
            [
                helper.make_node("Gather", [probabilities.name, "threshold_class"], ["threshold_score"], axis=1),
                helper.make_node("GreaterOrEqual", ["threshold_score", "threshold_value"], ["threshold_reached"]),
                helper.make_node("Cast", ["threshold_reached"], ["threshold_index"], to=TensorProto.INT64),
                helper.make_node("Gather", ["threshold_labels", "threshold_index"], ["label"], axis=0),
            ]
        )
        label.name = "label"

    return edit


def _values(mapped: Any) -> list[Any]:
    return [value.encode() if isinstance(value, str) else int(value) for value in mapped]


def rename(graph: Any, old: str, new: str) -> None:
    """Calls a value of a graph by another name, wherever it is made or used; another that had this name gives way."""
    if any(new in (*node.input, *node.output) for node in graph.node):
        rename(graph, new, f"{new}_inside")
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                if name == old:
                    names[at] = new
    for group in (graph.input, graph.output, graph.value_info):
        for value in group:
            if value.name == old:
                value.name = new
