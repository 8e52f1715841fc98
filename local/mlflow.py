"""MLflow for the tests and benchmarks that speak with the real one: in a virtual environment of its own, kept in the cache.

Its dependencies are many and would hold back ours; so it is never a part of the project's environment."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from local.errors import CommandError, PreflightError
from local.settings import Settings
from local.shell import find, run

VERSION = "3.17.2"
PACKAGES = (f"mlflow=={VERSION}", "onnx==1.23.2", "onnxruntime==1.32.0")


def need_mlflow(settings: Settings) -> Path:
    """The Python of an environment with MLflow; made at the first call, which takes a minute. Raises PreflightError."""
    folder = settings.cache / f"mlflow-{VERSION}-{sys.version_info.major}.{sys.version_info.minor}"
    python, done = folder / "bin" / "python", folder / ".ready"
    if done.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = find("uv", Path(sys.executable).parent)
    try:
        if uv:
            run([str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)])
            run([str(uv), "pip", "install", "--quiet", "--python", str(python), *PACKAGES], timeout=900)
        else:
            run([sys.executable, "-m", "venv", str(folder)])
            run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], timeout=900)
    except CommandError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise PreflightError([f"installing {' '.join(PACKAGES)} failed: {error}"]) from error
    done.touch()
    return python
