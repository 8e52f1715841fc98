"""One estimator, fitted and saved as a training script would."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.estimators.cases import Case
from slipway.training.convert import convert
from slipway.training.errors import TrainingError

CONVERTED, FELL_BACK, REFUSED = "converted", "fell back", "refused"


@dataclass(frozen=True)
class Outcome:
    """What became of it. `largest`: the largest difference to the estimator's own numbers; None when nothing was saved."""

    name: str
    kind: str
    result: str
    inputs: str = ""
    outputs: str = ""
    largest: float | None = None
    rows: int = 0
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def attempt(case: Case, trusted: tuple[str, ...] = ()) -> Outcome:
    """Fits, converts and compares. Whatever goes wrong is the outcome."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        X, y = case.data()
        estimator = case.make()
        estimator.fit(X) if y is None else estimator.fit(X, y)
        try:
            converted = convert(estimator, X, Path(folder), "model", trusted)
        except TrainingError as error:
            return Outcome(case.name, case.kind, REFUSED, why=str(error))
    signature, record = converted.signature, converted.record
    return Outcome(
        case.name,
        case.kind,
        CONVERTED if converted.format == "onnx" else FELL_BACK,
        "/".join(sorted({spec.datatype for spec in signature.inputs})) if signature else "",
        ", ".join(spec.name for spec in signature.outputs) if signature else "",
        record.get("maxAbsDiff"),
        record.get("rows", 0),
        record.get("fallback", ""),
    )
