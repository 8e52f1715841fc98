"""`make bench-serving`: the model server and its peers, on the same models, one after the other on the same core.

python -m bench.serving run [--servers slipway,mlserver] [--seconds 4]    measures, and merges into the results
python -m bench.serving table                                            prints the tables, and puts them into the docs
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.compare import compare
from bench.serving.envs import CACHE, peer_python, wrk
from bench.serving.load import counted, load
from bench.serving.models import WIDE, make_models
from bench.serving.report import PEERS, RESULTS, STATIC, read_results, write_tables
from bench.serving.servers import body, running

SERVERS = (*STATIC, "slipway", *PEERS)
CASES = [(1, 1), (1, 16), (1, 64), (1, 256), (32, 1), (32, 16), (32, 64), (32, 256)]
"""Rows in a request, connections."""
STARTS = {"slipway": 5}
"""How often a start is timed; others: twice."""
LARGE_ROUNDS = 3


def measure(server: str, seconds: float, models: Path) -> dict[str, Any]:
    """Starts and loads one server on both models."""
    rows = np.load(models / "rows.npy")
    found: dict[str, Any] = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "models": {}, "load": 0.0}
    for model in ("logistic",) if server in STATIC else ("logistic", "forest"):
        cold, cold_cpu, cases = [], [], {}
        for start in range(STARTS.get(server, 2)):
            with tempfile.TemporaryDirectory() as folder, running(server, model, models, Path(folder)) as one:
                cold.append(one.cold_seconds)
                cold_cpu.append(one.cold_cpu_seconds)
                if start:
                    continue
                idle = one.rss_bytes()
                for batch, connections in CASES:
                    if server in STATIC and batch > 1:
                        continue
                    sent = body(server, rows[:batch])
                    load(one.url + one.path, sent, one.headers, connections, min(1, seconds), Path(folder))
                    answer = counted(one, sent, connections, seconds, Path(folder))
                    if answer["rps"] * seconds < 2 * connections:  # so slow a server has to be asked for longer
                        answer = counted(one, sent, connections, 5 * seconds, Path(folder))
                    cases[f"{batch}x{connections}"] = answer
                    print(f"{server:9s} {model:9s} batch {batch:2d}, {connections:3d} connections: {answer}", flush=True)
                resident = one.rss_bytes()
        found["load"] = round(max(found["load"], os.getloadavg()[0]), 1)
        found["models"][model] = {
            "cold_seconds": round(statistics.median(cold), 3),
            "cold_cpu_seconds": round(statistics.median(cold_cpu), 3),
            "rss_mb_idle": round(idle / 1e6, 1),
            "rss_mb": round(resident / 1e6, 1),
            "cases": cases,
        }
    return found


def measure_binary(seconds: float, models: Path) -> dict[str, Any]:
    """A tensor of 1,000 x 100 floats as JSON and in binary, to the wide model, in turns; and the median of the ratios in each turn."""
    rows = np.random.default_rng(1).normal(size=(1000, WIDE)).astype(np.float32)
    head = {"inputs": [{"name": "X", "shape": [1000, WIDE], "datatype": "FP32", "parameters": {"binary_data_size": rows.nbytes}}]}
    start = json.dumps(head | {"parameters": {"binary_data_output": True}}).encode()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(start))}
    ways = {"json": (body("slipway", rows), {"Content-Type": "application/json"}), "binary": (start + rows.tobytes(), headers)}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, running("slipway", "wide", models, Path(folder)) as one:
        for turn in range(LARGE_ROUNDS + 1):
            for way, (sent, said) in ways.items():
                answer = counted(one, sent, 4, seconds if turn else 1, Path(folder), said)
                if turn:
                    found[way].append(answer)
    told: dict[str, Any] = {
        way: {what: round(statistics.median(answer[what] for answer in answers), 3) for what in answers[0]}
        for way, answers in found.items()
    }
    pairs = zip(found["binary"], found["json"], strict=True)
    told["ratio"] = round(statistics.median(binary["rps"] / text["rps"] for binary, text in pairs), 2)
    print(f"1000 x {WIDE} floats: {told}", flush=True)
    return told


def machine() -> dict[str, Any]:
    """What it was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {"cpu": cpu, "kernel": platform.release(), "python": platform.python_version(), "cores": os.cpu_count()}


def versions(servers: list[str]) -> dict[str, str]:
    """Of all that took part."""
    found = {name: importlib.metadata.version(name) for name in ("slipway", "onnxruntime", "scikit-learn", "uvloop", "httptools")}
    for server in servers:
        if server in PEERS or server == "granian":
            code = f"import importlib.metadata as m; print(m.version({server!r}))"
            found[server] = subprocess.run(
                [peer_python(server), "-c", code], capture_output=True, text=True, check=True
            ).stdout.strip()
    return found


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.serving")
    parser.add_argument("action", choices=("run", "table"))
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(words)
    if chosen.action == "run":
        servers = chosen.servers.split(",")
        wrk()
        models = CACHE / "models"
        make_models(models)
        results = read_results(chosen.results)
        results["machine"] = machine()
        results.setdefault("versions", {}).update(versions(servers))
        for server in servers:
            results.setdefault("servers", {})[server] = measure(server, chosen.seconds, models)
        if "slipway" in servers:
            results["large"] = measure_binary(chosen.seconds, models)
            results["share"] = compare((*STATIC, "slipway"), models, seconds=chosen.seconds)
            results["watching"] = compare(("unwatched", "slipway", "logged"), models, seconds=chosen.seconds)
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            results["turns"] = {"measured": stamp, "load": round(os.getloadavg()[0], 1)}
        chosen.results.parent.mkdir(exist_ok=True)
        chosen.results.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    return write_tables(read_results(chosen.results), write=chosen.results == RESULTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
