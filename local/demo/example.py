"""The example that the demo runs: its manifests, its data, and scikit-learn's own answers to compare with."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.demo import by_hand
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
    seconds: float
    """From the start of a Python process to the trained estimator: the bare time of the training script."""


def scikit_learn(data: Path, params: dict[str, Any]) -> Expected:
    """Runs :mod:`local.demo.by_hand` in a process of its own."""
    began = time.monotonic()
    files = [FOLDER / "train.py", data / "train.parquet", data / "heldout.parquet"]
    said = run([sys.executable, str(by_hand.__file__), *map(str, files), json.dumps(params)])
    found = json.loads(said)
    seconds = time.monotonic() - began - found.pop("after_training")
    return Expected(**found, seconds=seconds)


def differences(expected: Expected, outputs: dict[str, Any]) -> tuple[int, float]:
    """How many labels differ, and the largest difference of a probability."""
    labels = next(data for name, data in outputs.items() if "label" in name)
    flat = next(data for name, data in outputs.items() if "prob" in name)
    wanted = [value for row in expected.probabilities for value in row]
    wrong = sum(1 for a, b in zip(expected.labels, labels, strict=True) if int(a) != int(b))
    return wrong, max(abs(a - b) for a, b in zip(wanted, flat, strict=True))
