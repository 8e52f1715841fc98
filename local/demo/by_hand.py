"""What one would do without Slipway: train the example's script in a process of its own and ask scikit-learn itself.

Run as a program: ``by_hand.py TRAIN.PY TRAIN.PARQUET HELDOUT.PARQUET PARAMS-JSON``. Prints one JSON object. It imports nothing
of Slipway, so that its answers are an independent opinion, and its time the bare time of the training script.
"""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any


class Run:
    """As much of a run as the script uses; nothing is converted, checked or kept."""

    def __init__(self, params: dict[str, Any], train: str) -> None:
        self.params = params
        self.inputs = {"train": SimpleNamespace(read_parquet=lambda: _read(train))}
        self.metrics: dict[str, float] = {}
        self.model: Any = None

    def info(self, _message: object) -> None:
        """Says nothing."""

    def log_metric(self, name: str, value: Any) -> None:
        """Keeps it for the script's own report."""
        self.metrics[name] = float(value)

    def log_report(self, _name: str, _content: object) -> None:
        """Keeps nothing."""

    def save_model(self, model: Any, **_: Any) -> None:
        """Keeps the estimator for the predictions below."""
        self.model = model


def _read(path: str) -> Any:
    import pandas as pd

    return pd.read_parquet(path)


def main(script: str, train: str, held_out: str, params: str) -> None:
    """Trains, then predicts the held-out rows and says how long that second part took, in seconds."""
    code: dict[str, Any] = {"__name__": "train"}
    with open(script, encoding="utf-8") as file:  # noqa: PTH123
        exec(compile(file.read(), script, "exec"), code)
    run = Run(json.loads(params), train)
    code["main"](run)
    trained = time.monotonic()
    table = _read(held_out)
    features = table.drop(columns=["target"])
    answer = {
        "rows": features.to_numpy(dtype="float64").tolist(),
        "labels": run.model.predict(features).tolist(),
        "probabilities": run.model.predict_proba(features).tolist(),
        "truth": table["target"].tolist(),
    }
    sys.stdout.write(json.dumps(answer | {"after_training": time.monotonic() - trained}))


if __name__ == "__main__":
    main(*sys.argv[1:])
