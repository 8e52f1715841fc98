"""How each server is started, asked, and looked at."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.serving.envs import PEERS, peer_python
from bench.serving.static import ANSWER

CORE = "0"
"""The servers' core; the load generator has another."""
OURS = ("slipway", "static", "unwatched", "logged")
"""The model server as it is; the HTTP layer with a fixed answer; nothing counted or watched; a payload log of a tenth and traces of a
hundredth of the requests as well."""
ROOT = Path(__file__).parents[2]
READY_SECONDS = 120


@dataclass
class Running:
    """A started server. `cold_seconds`: from the start of its process to the first 200 of `ready`."""

    process: subprocess.Popen[bytes]
    url: str
    path: str
    cold_seconds: float = 0.0
    cold_cpu_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    def rss_bytes(self) -> int:
        """Resident memory of the process and all it started."""
        return sum(_rss(pid) for pid in _tree(self.process.pid))

    def cpu_seconds(self) -> float:
        """CPU time of the process and all it started and that still run, threads included, system calls included."""
        return sum(_cpu(pid) for pid in _tree(self.process.pid))


def _v2(name: str) -> str:
    return f"/v2/models/{name}/infer"


def command(server: str, model: str, models: Path, port: int, scratch: Path) -> tuple[list[str], dict[str, str], str, str]:
    """Words, environment, readiness path and prediction path."""
    if server in OURS:
        env = {"PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
        if server == "static":
            return [sys.executable, "-m", "bench.serving.static", str(port)], env, "/ready", "/static"
        module = "bench.serving.unwatched" if server == "unwatched" else "slipway.serving"
        words = [sys.executable, "-m", module, f"--model={models / model / 'model.onnx'}", f"--name={model}"]
        if server == "logged":
            words += [f"--payload-log=file://{scratch / 'payloads'}", "--payload-sample=0.1", "--payload-seconds=2"]
            env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": _collector(), "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
            env |= {"OTEL_TRACES_SAMPLER_ARG": "0.01"}
        return [*words, f"--port={port}", "--drain=0"], env, "/v2/health/ready", _v2(model)
    python, where = str(peer_python(server)), models / f"{model}.joblib"
    if server == "granian":
        words = [
            str(Path(python).with_name("granian")),
            "--interface=rsgi",
            "--loop=uvloop",
            "--workers=1",
            "--runtime-threads=1",
        ]
        words += ["--no-ws", "--no-log", f"--working-dir={PEERS}", f"--port={port}", "granian_static:app"]
        return words, {"ANSWER": ANSWER.decode()}, "/ready", "/static"
    if server == "mlserver":
        settings = {"http_port": port, "grpc_port": _free(), "metrics_port": _free(), "host": "127.0.0.1", "parallel_workers": 0}
        (scratch / "settings.json").write_text(json.dumps({**settings, "debug": False, "logging_settings": None}))
        implementation = "mlserver_sklearn.SKLearnModel"
        entry = {"name": model, "implementation": implementation, "parameters": {"uri": str(where), "version": "1"}}
        (scratch / "model-settings.json").write_text(json.dumps(entry))
        return [str(Path(python).with_name("mlserver")), "start", str(scratch)], {}, f"/v2/models/{model}/ready", _v2(model)
    if server == "kserve":
        words = [python, str(PEERS / "kserve_server.py"), f"--model_name={model}", f"--model_path={where}"]
        return [*words, f"--http_port={port}", "--enable_grpc=false", "--workers=1"], {}, f"/v2/models/{model}/ready", _v2(model)
    if server == "bentoml":
        words = [python, "-m", "bentoml", "serve", "bentoml_service:Classifier", f"--port={port}", "--host=127.0.0.1"]
        env = {"MODEL_PATH": str(where), "BENTOML_HOME": str(scratch), "BENTOML_DO_NOT_TRACK": "True"}
        return [*words, f"--working-dir={PEERS}"], env, "/readyz", "/predict"
    raise ValueError(f"no server {server}")


@contextmanager
def running(server: str, model: str, models: Path, scratch: Path) -> Iterator[Running]:
    """Starts `server` on its core and waits until it is ready."""
    port = _free()
    words, more, ready, path = command(server, model, models, port, scratch)
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    env = kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | more
    log = (scratch / f"{server}.log").open("wb")
    began = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", CORE, *words], env=env, cwd=scratch, stdout=log, stderr=log, start_new_session=True
    )
    one = Running(process, f"http://127.0.0.1:{port}", path)
    try:
        while not _answers(one.url + ready):
            if process.poll() is not None or time.perf_counter() - began > READY_SECONDS:
                raise RuntimeError(f"{server} did not start:\n{(scratch / f'{server}.log').read_text()[-3000:]}")
            time.sleep(0.005)
        one.cold_seconds = time.perf_counter() - began
        one.cold_cpu_seconds = one.cpu_seconds()
        yield one
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def body(server: str, rows: Any) -> bytes:
    """A request for these rows, in the form the server takes."""
    if server == "bentoml":
        return json.dumps({"rows": rows.tolist()}).encode()
    values = [round(float(value), 6) for value in rows.ravel()]
    one = {"name": "X", "shape": list(rows.shape), "datatype": "FP32", "data": values}
    return json.dumps({"inputs": [one]}, separators=(",", ":")).encode()


@cache
def _collector() -> str:
    """A receiver of traces that takes and drops them; up until this process ends."""

    class Taken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _tree(pid: int) -> list[int]:
    found = [pid]
    for at in found:
        try:
            for task in Path(f"/proc/{at}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def _rss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) << 10
    except (OSError, IndexError):
        return 0


def _cpu(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0
