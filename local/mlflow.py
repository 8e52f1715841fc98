"""MLflow for the tests and benchmarks that speak with the real one."""

from __future__ import annotations

from pathlib import Path

from local.environments import need_environment
from local.settings import Settings

VERSION = "3.17.2"
PACKAGES = (f"mlflow=={VERSION}", "onnx==1.23.2", "onnxruntime==1.32.0")


def need_mlflow(settings: Settings) -> Path:
    """The Python of an environment with MLflow; made at the first call, which takes a minute. Raises PreflightError."""
    return need_environment(settings, f"mlflow-{VERSION}", PACKAGES)
