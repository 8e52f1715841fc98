"""Scaling in less time than ONNX's `Scaler` takes, which goes through its values one after the other: as part of the linear model behind it
(docs/adr/0049-scaling-folded-into-linear-models.md), or else by subtraction and multiplication, which give the same numbers to the last bit
(docs/adr/0048-scaler-as-two-operators.md)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_KEEPS: Final = {"ArrayFeatureExtractor", "Concat", "Identity", "Imputer"}
"""Operators that give the type that they take."""
_LINEAR: Final = {"LinearClassifier", "LinearRegressor"}
_FAR: Final = 10.0
"""Scaled units from zero in which no centre may lie, for scaling to be folded: that many times larger roundings can become, as the
coefficients meet the values before their centre is taken away."""
_SCALES: Final = (1e-12, 1e12)
"""Between these, coefficients stay where single precision has all its digits."""


def fold_scalers(model: Any) -> None:
    """Has linear models in ``onnx.ModelProto`` `model` do the work of each `Scaler` of single-precision numbers that only they follow:
    other coefficients and intercepts, and one operator less."""
    graph = model.graph
    if not any(_is_scaler(node) for node in graph.node) or _has_subgraphs(graph):
        return
    floats, given = _singles(graph), {value.name for value in graph.output}
    for node in [node for node in reversed(graph.node) if _is_scaler(node)]:
        behind = [other for other in graph.node if node.output[0] in other.input]
        offset, scale = _attribute(node, "offset"), _attribute(node, "scale")
        if (
            node.input[0] in floats
            and node.output[0] not in given
            and [(other.op_type, other.domain) for other in behind] in [[(kind, "ai.onnx.ml")] for kind in _LINEAR]
            and len(offset) == len(scale) > 0
            and _SCALES[0] <= scale.min()
            and scale.max() <= _SCALES[1]
            and np.abs(offset * scale).max() <= _FAR
        ):
            _fold(behind[0], offset, scale)
            behind[0].input[0] = node.input[0]
            graph.node.remove(node)


def spread_scalers(model: Any) -> None:
    """Replaces each `Scaler` of single-precision numbers in ``onnx.ModelProto`` `model`; it takes others as well, and gives single
    precision then, which needs one operator more: those are left."""
    from onnx import helper, numpy_helper

    graph = model.graph
    if not any(_is_scaler(node) for node in graph.node):
        return
    floats, nodes = _singles(graph), []
    for node in graph.node:
        offset, scale = _attribute(node, "offset"), _attribute(node, "scale")
        if not (_is_scaler(node) and node.input[0] in floats and len(offset) and len(scale)):
            nodes.append(node)
            continue
        (taken,), (scaled,) = node.input, node.output
        names = [f"{scaled}_offset", f"{scaled}_scale"]
        for name, values in zip(names, (offset, scale), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        nodes.append(helper.make_node("Sub", [taken, names[0]], [f"{scaled}_centred"], name=f"{node.name}_sub"))
        nodes.append(helper.make_node("Mul", [f"{scaled}_centred", names[1]], [scaled], name=f"{node.name}_mul"))
    del graph.node[:]
    graph.node.extend(nodes)


def _is_scaler(node: Any) -> bool:
    return bool(node.op_type == "Scaler" and node.domain == "ai.onnx.ml")


def _has_subgraphs(graph: Any) -> bool:
    """Whether nodes have graphs of their own, which may take any value of this one."""
    return any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute)


def _singles(graph: Any) -> set[str]:
    """Values that are known to be of single precision: onnx's own inference of types does not know the operators of scikit-learn's kind."""
    from onnx import TensorProto

    floats = {value.name for value in graph.input if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    for node in graph.node:
        if _is_scaler(node) or (node.op_type in _KEEPS and node.input and node.input[0] in floats):
            floats.update(node.output)
    return floats


def _attribute(node: Any, name: str) -> Any:
    """Numbers of `node`, in double precision; none where it has no such attribute."""
    return np.array([value for attribute in node.attribute if attribute.name == name for value in attribute.floats])


def _fold(linear: Any, offset: Any, scale: Any) -> None:
    from onnx import helper

    coefficients = _attribute(linear, "coefficients").reshape(-1, len(scale)) * scale
    intercepts = _attribute(linear, "intercepts")
    intercepts = (intercepts if len(intercepts) else np.zeros(len(coefficients))) - coefficients @ offset
    for attribute in [attribute for attribute in linear.attribute if attribute.name in ("coefficients", "intercepts")]:
        linear.attribute.remove(attribute)
    linear.attribute.append(helper.make_attribute("coefficients", coefficients.ravel().tolist()))
    linear.attribute.append(helper.make_attribute("intercepts", intercepts.tolist()))
