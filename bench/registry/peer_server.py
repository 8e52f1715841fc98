"""MLflow in a virtual environment of its own, and its server on loopback with sqlite and a folder of artifacts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from local.ports import Ports
from local.probe import http_ok, wait_until
from local.supervisor import Supervisor

HERE = Path(__file__).parent / "peer"
CACHE = Path(os.environ.get("SLIPWAY_BENCH_CACHE", "~/.cache/slipway/bench")).expanduser()


def python() -> Path:
    """The interpreter of the environment that ``peer/mlflow.txt`` pins; made at the first call, which takes some minutes."""
    pins = HERE / "mlflow.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(pins.read_bytes() + version.encode()).hexdigest()[:16]
    folder = CACHE / f"mlflow-{key}"
    made = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(made), "--requirement", str(pins)], check=True)
        (folder / ".ready").touch()
    return made


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that has just started, with empty stores."""
    supervisor, ports, group = Supervisor("slipway-bench-mlflow-"), Ports(), 0
    try:
        port = ports.take()
        command = [
            str(python()), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
            "--backend-store-uri", f"sqlite:///{supervisor.folder}/mlflow.db",
            "--artifacts-destination", str(supervisor.folder / "artifacts"),
        ]  # fmt: skip
        group = os.getpgid(supervisor.spawn("mlflow", command, _environment()))
        url = f"http://127.0.0.1:{port}"
        wait_until(
            "MLflow answers",
            lambda: http_ok(f"{url}/health"),
            seconds=120,
            give_up=lambda: supervisor.ended("mlflow"),
            log=supervisor.log("mlflow"),
        )
        yield url
    finally:
        supervisor.close()
        if group:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)  # its workers and consumers outlive it, and would disturb what is measured next
        ports.close()


def measure(url: str, model_folder: Path, rounds: int) -> dict[str, Any]:
    """What `peer/measure.py` prints."""
    command = [str(python()), str(HERE / "measure.py"), url, str(model_folder), str(rounds)]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"MLflow's client failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _environment() -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MLFLOW_", "PYTHON"))}
    return {**keep, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{python().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
