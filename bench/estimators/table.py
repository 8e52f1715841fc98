"""The table of ``docs/estimators.md``: written from outcomes, and read back by the test that holds it to the truth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from bench.estimators.cases import KINDS
from bench.estimators.trial import CONVERTED, FELL_BACK, REFUSED, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "estimators.md"
_ROW = re.compile(r"^\| `(\w+)` \| ([\w ]+) \|", re.MULTILINE)
_INTRODUCTION = """# Estimators: what becomes of them

`run.save_model(model, X=X)` converts an estimator to ONNX, asks both for their answers to rows of `X`, and keeps the ONNX file
when labels are equal and numbers differ by less than 0.0001 of their spread. Otherwise it keeps a skops file, which is served
too, by scikit-learn itself and so more slowly. When neither can hold it, the build ends with `ConversionFailed` and the reason.

Made by `python -m bench.estimators`, which fits every classifier, regressor, outlier detector, clusterer and transformer of
scikit-learn on a small real data set and saves it as a training script would; versions: {versions}.

- **converted**: kept as ONNX. `inputs` are the types that a client sends, `difference` is the largest one seen in any number.
- **fell back**: kept as skops, with the reason.
- **refused**: not kept. Most of these say something of the rows that they were fitted on and nothing of new ones.

XGBoost's and LightGBM's classifiers and regressors are converted too, alone and in pipelines, with the extra `boosting`
(`tests/unit/training/test_equivalents.py`).
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "skl2onnx", "onnxruntime", "skops"))
    parts = [_INTRODUCTION.format(versions=versions), _summary(outcomes)]
    for kind in KINDS:
        rows = [outcome for outcome in outcomes if outcome.kind == kind]
        parts.append(f"## {kind.capitalize()}s\n\n{_HEAD}" + "".join(map(_row, rows)))
    return "\n".join(parts)


def read(text: str) -> dict[str, str]:
    """Estimator to result, as the page has it."""
    return {found.group(1): found.group(2) for found in _ROW.finditer(text)}


_HEAD = "| estimator | result | inputs | outputs | difference | why |\n|---|---|---|---|---|---|\n"


def _row(outcome: Outcome) -> str:
    difference = "" if outcome.largest is None else f"{outcome.largest:.1g}"
    why = re.sub(r"\s+", " ", outcome.why).replace("|", "\\|").replace("<", "&lt;")[:400]
    return f"| `{outcome.name}` | {outcome.result} | {outcome.inputs} | {outcome.outputs} | {difference} | {why} |\n"


def _summary(outcomes: Sequence[Outcome]) -> str:
    lines = ["| | " + " | ".join((CONVERTED, FELL_BACK, REFUSED)) + " |", "|---|---|---|---|"]
    for kind in (*KINDS, "all"):
        counts = Counter(outcome.result for outcome in outcomes if kind in ("all", outcome.kind))
        lines.append(f"| {kind} | " + " | ".join(str(counts[result]) for result in (CONVERTED, FELL_BACK, REFUSED)) + " |")
    return "\n".join(lines) + "\n"
