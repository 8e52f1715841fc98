"""Feast's environment, installed once outside of the tree."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("SLIPWAY_BENCH_CACHE", "~/.cache/slipway/bench")).expanduser()


def feast_python() -> Path:
    """The Python of the environment that ``peer/feast.txt`` pins; made at the first call, which needs a package index."""
    pins = HERE / "peer" / "feast.txt"
    key = hashlib.sha256(pins.read_bytes() + platform.python_version().encode()).hexdigest()[:16]
    folder = CACHE / f"feast-{key}"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(pins)], check=True)
        (folder / ".ready").touch()
    return python


def feast_environment() -> dict[str, str]:
    """What its processes run with: our small modules are on their path, and nothing is reported to anybody."""
    return os.environ | {"PYTHONPATH": str(HERE), "FEAST_USAGE": "False", "ANONYMIZED_TELEMETRY": "False"}
