"""The example that the demo runs: its manifests, its data, and scikit-learn's own answers to compare with."""

from __future__ import annotations

import importlib.util
import io
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from local.demo.install import ROOT
from local.demo.kubectl import Cluster, Object
from local.settings import child_environment
from local.shell import run

FOLDER = ROOT / "examples" / "01-breast-cancer"
NAME = "breast-cancer"
PLACEHOLDER = "registry.example.com"
HELD_OUT_ROWS = 114
TOLERANCE = 1e-5
"""Largest difference of a probability: float32 in the served model, float64 in scikit-learn."""


def manifests(cluster: Cluster, namespace: str) -> list[Object]:
    """What ``kubectl apply -k`` would apply, with the image registry of this cluster and this namespace put in."""
    text = cluster.kubectl("kustomize", str(FOLDER)).replace(PLACEHOLDER, cluster.info.registry_in_cluster)
    found: list[Object] = [document for document in yaml.safe_load_all(text) if document]
    for manifest in found:
        manifest["metadata"]["namespace"] = namespace
    return found


def upload_data(cluster: Cluster, bucket: str) -> Path:
    """Writes the example's Parquet files, puts them into the bucket, and returns the folder with the local copies."""
    folder = Path(tempfile.gettempdir()) / "slipway-demo-data"
    environment = child_environment(PYTHONPATH=str(ROOT / "operator"), **cluster.info.environment())
    argv = [sys.executable, str(FOLDER / "prepare_data.py"), "--out", str(folder), "--upload", f"s3://{bucket}/{NAME}/"]
    run(argv, env=environment)
    return folder


@dataclass(frozen=True)
class Expected:
    """What scikit-learn says of the held-out rows, by the same script with the same parameters and data."""

    rows: list[list[float]]
    labels: list[int]
    probabilities: list[list[float]]
    truth: list[int]
    train_seconds: float


def scikit_learn(data: Path, params: dict[str, Any]) -> Expected:
    """Trains in this process, without Slipway's cluster or its conversion, and predicts the held-out rows."""
    import pandas as pd

    from slipway.training.local import run_locally

    kept: list[Any] = []

    def main(given: Any) -> None:
        save = given.save_model

        def keep(estimator: Any, **more: Any) -> Any:
            kept.append(estimator)
            return save(estimator, **more)

        given.save_model = keep
        _train_module().main(given)

    with tempfile.TemporaryDirectory() as output, redirect_stdout(io.StringIO()):
        result = run_locally(main, params=params, inputs={"train": data / "train.parquet"}, output=output)
    held_out = pd.read_parquet(data / "heldout.parquet")
    features = held_out.drop(columns=["target"])
    estimator = kept[0]
    return Expected(
        rows=features.to_numpy(dtype="float64").tolist(),
        labels=[int(label) for label in estimator.predict(features)],
        probabilities=estimator.predict_proba(features).tolist(),
        truth=[int(label) for label in held_out["target"]],
        train_seconds=result.timings.get("train", 0.0),
    )


def _train_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slipway_example_train", FOLDER / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(expected: Expected, outputs: dict[str, Any]) -> tuple[int, float]:
    """How many labels differ, and the largest difference of a probability."""
    labels = next(data for name, data in outputs.items() if "label" in name)
    flat = next(data for name, data in outputs.items() if "prob" in name)
    wanted = [value for row in expected.probabilities for value in row]
    wrong = sum(1 for a, b in zip(expected.labels, labels, strict=True) if int(a) != int(b))
    return wrong, max(abs(a - b) for a, b in zip(wanted, flat, strict=True))
