"""Runs in MLflow's own environment: starts nothing, measures a server that is there, prints JSON.

``python measure.py TRACKING_URI MODEL_FOLDER ROUNDS``. Times in seconds, one per round, after one round that does not count.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

NAME = "breast-cancer"


def timed(rounds: int, work: Callable[[int], object], before: Callable[[int], object] = lambda _n: None) -> list[float]:
    before(-1)
    work(-1)
    took = []
    for number in range(rounds):
        before(number)
        began = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - began)
    return took


def main(uri: str, folder: str, rounds: int) -> None:
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("bench")
    client = MlflowClient(uri)
    x, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = LogisticRegression(C=0.3, max_iter=5000).fit(x, y)

    def log_and_register(number: int) -> None:
        with mlflow.start_run():
            mlflow.log_params({"C": 0.3, "seed": number})
            mlflow.log_metrics({"roc_auc": 0.99, "accuracy": 0.95})
            mlflow.sklearn.log_model(model, name="model", registered_model_name=NAME, input_example=x.head(1))

    def files_only(number: int) -> None:
        """The least that MLflow can do: the same file uploaded, a version made, no model inspected."""
        with mlflow.start_run() as run:
            mlflow.log_params({"C": 0.3, "seed": number})
            mlflow.log_metrics({"roc_auc": 0.99, "accuracy": 0.95})
            mlflow.log_artifacts(folder, "model")
        client.create_model_version(NAME, f"{run.info.artifact_uri}/model", run.info.run_id)

    results = {"register": timed(max(5, rounds // 10), log_and_register)}
    results["register_files_only"] = timed(max(5, rounds // 5), files_only)

    def move(number: int) -> None:
        client.set_registered_model_alias(NAME, "champion", str(number % 2 + 1))

    results["move_alias"] = timed(rounds, move)
    results["resolve"] = timed(rounds, lambda _n: client.get_model_version_by_alias(NAME, "champion"), before=move)
    print(json.dumps({"version": mlflow.__version__, "seconds": results}))


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2])), int(sys.argv[3]))
