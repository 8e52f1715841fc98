"""Whether a converted model answers as the estimator it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Largest difference allowed, as a part of the spread (largest minus smallest) of the estimator's own answers."""


@dataclass(frozen=True)
class Answers:
    """What an estimator says of some rows, under the names that skl2onnx gives to outputs."""

    outputs: dict[str, NDArray[Any]]
    labels: frozenset[str] = frozenset()
    """Outputs that are classes, clusters or in/outlier marks: equal or not, with nothing between."""


@dataclass(frozen=True)
class Difference:
    """How far two sets of answers are apart. `problem` says why they do not agree; empty when they do."""

    rows: int
    max_abs_diff: float
    label_mismatches: int
    problem: str = ""

    def to_record(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "maxAbsDiff": self.max_abs_diff,
            "labelMismatches": self.label_mismatches,
            "tolerance": TOLERANCE,
        }


def answers(estimator: Any, X: Any) -> Answers:  # noqa: N803
    """`predict` with what belongs to it (probabilities or scores), or `transform`. Raises what the estimator raises,
    and TypeError when it can do neither."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector

    if not hasattr(estimator, "predict"):
        if not hasattr(estimator, "transform"):
            raise TypeError(
                f"{type(estimator).__name__} has neither predict nor transform: it says something of the rows that it was "
                "fitted on and nothing of new ones"
            )
        transformed = estimator.transform(X)
        return Answers({"variable": np.asarray(transformed.toarray() if hasattr(transformed, "toarray") else transformed)})
    predicted = np.asarray(estimator.predict(X))
    mixture = hasattr(estimator, "predict_proba")
    if not (mixture or is_classifier(estimator) or is_clusterer(estimator) or is_outlier_detector(estimator)):
        return Answers({"variable": predicted.reshape(len(predicted), -1)})
    outputs = {"label": predicted}
    if hasattr(estimator, "predict_proba"):
        probabilities = estimator.predict_proba(X)
        if isinstance(probabilities, np.ndarray):
            outputs["probabilities"] = probabilities
    elif is_outlier_detector(estimator) and hasattr(estimator, "decision_function"):
        outputs["scores"] = np.asarray(estimator.decision_function(X)).reshape(-1, 1)
    return Answers(outputs, frozenset({"label"}))


def compare(expected: Answers, found: dict[str, NDArray[Any]], rows: int) -> Difference:
    """`found` against `expected`, output by output; outputs that only one side has are left out of the numbers, but
    the first output must be there."""
    largest, mismatches, problems = 0.0, 0, []
    for name, want in expected.outputs.items():
        have = found.get(name)
        if have is None:
            problems.append(f"it has no output {name!r}, but {', '.join(sorted(found))}")
            continue
        if have.size != want.size:
            problems.append(f"output {name!r} has shape {have.shape} where the estimator's is {want.shape}")
        elif name in expected.labels:
            wrong = _labels_differ(want, have)
            mismatches += wrong
            if wrong:
                problems.append(f"{wrong} of {rows} rows get another label")
        else:
            apart, scale = _numbers_differ(want, have)
            largest = max(largest, apart)
            if not apart <= TOLERANCE * scale:
                problems.append(f"output {name!r} differs by {apart:.3g}, more than {TOLERANCE * scale:.3g}")
    return Difference(rows, largest, mismatches, "; ".join(problems))


def _labels_differ(want: NDArray[Any], have: NDArray[Any]) -> int:
    have = have.reshape(want.shape)
    if want.dtype.kind in "fiub" and have.dtype.kind in "fiub":
        return int(np.count_nonzero(want.astype(np.float64) != have.astype(np.float64)))
    return int(np.count_nonzero(want.astype(str) != have.astype(str)))


def _numbers_differ(want: NDArray[Any], have: NDArray[Any]) -> tuple[float, float]:
    """The largest difference, inf when one side alone is not finite; and the scale it is measured by."""
    want = want.astype(np.float64)
    have = have.reshape(want.shape).astype(np.float64)
    finite = np.isfinite(want)
    if not np.array_equal(want[~finite], have[~finite], equal_nan=True) or not np.isfinite(have[finite]).all():
        return float("inf"), 1.0
    if not finite.any():
        return 0.0, 1.0
    apart = float(np.max(np.abs(want[finite] - have[finite])))
    scale = float(np.ptp(want[finite])) or float(np.max(np.abs(want[finite]))) or 1.0
    return apart, scale
