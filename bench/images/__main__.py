"""``python -m bench.images [--rounds N] [--out FILE]``: a changed application file, from a cold process to a digest in a real CNCF
distribution registry, by AppBuild's pod and by ``buildah`` with everything cached. Rounds alternate; each changes the file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.images.peers import ROOT, Buildah, Run, Slipway
from slipway.images import uv
from slipway.images.reference import parse
from slipway.images.registry_client import RegistryClient
from tests.contract.images.servers import distribution
from tests.fakes.images import wheel

CODE = "class Service:\n    def preprocess(self, inputs):\n        return inputs\n"
WHEEL_BYTES = 8 << 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.images", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "images.json")
    parser.add_argument("--driver", default="overlay", help="storage driver of buildah")
    options = parser.parse_args(arguments)
    if shutil.which("buildah") is None:
        parser.error("buildah is not installed (Debian package buildah)")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        work = Path(name)
        (work / "registry").mkdir()
        with distribution(work / "registry") as registry:
            report = compare(work, registry.host, options.rounds, options.driver)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    print(json.dumps(report["result"], indent=2, sort_keys=True))
    return 0


def compare(work: Path, host: str, rounds: int, driver: str) -> dict[str, Any]:
    """Both tools on the serving image as it is now; the first build of each, which fills the caches, does not count."""
    base = push_base(host)
    package = wheel(work / "wheels", "payload", extra=os.urandom(WHEEL_BYTES))
    peers: list[Slipway | Buildah] = [
        Slipway(work / "slipway", base, host, package),
        Buildah(work / "buildah", base, host, installed(package, work), driver),
    ]
    first = {peer.name: peer.build(CODE) for peer in peers}
    runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
    for number in range(rounds):
        for peer in peers if number % 2 else reversed(peers):
            runs[peer.name].append(peer.build(f"{CODE}\n# {number}\n"))
    for name, found in runs.items():
        assert len({run.digest for run in found}) == rounds, f"{name} pushed one image twice"
    with RegistryClient() as client:
        manifest = client.manifest(parse(f"{host}/bench/slipway@{runs['slipway'][-1].digest}"))
    ours, theirs = (statistics.median(run.seconds for run in runs[name]) for name in ("slipway", "buildah"))
    return {
        "what": "seconds from a cold process to a pushed digest after one application file changed; the pod's start counts for neither",
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "versions": versions(driver),
        "rounds": rounds,
        "result": {
            "medianSeconds": {"slipway": round(ours, 3), "buildah": round(theirs, 3)},
            "medianCpuSeconds": {name: round(statistics.median(r.cpu_seconds for r in runs[name]), 3) for name in runs},
            "buildahOverSlipway": round(theirs / ours, 2),
            "firstBuildSeconds": {name: round(run.seconds, 3) for name, run in first.items()},
            "slipwayBytesSent": statistics.median(run.bytes_sent or 0 for run in runs["slipway"]),
            "slipwayManifestBytes": len(manifest.data),
            "seconds": {name: [round(run.seconds, 3) for run in found] for name, found in runs.items()},
        },
    }


def push_base(host: str) -> str:
    """The project's own serving image, from the cache of layers where it has them."""
    command = [sys.executable, "-m", "slipway.cli", "images", "build", "serving", "--push", f"{host}/slipway", "-o", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)[0]["reference"])


def installed(package: Path, work: Path) -> Path:
    """The wheel unpacked, as ``RUN pip install`` would leave it: the base has no shell to run it in."""
    target = work / "installed"
    uv.run(
        ["pip", "install", "--no-index", "--no-deps", "--target", str(target), str(package)],
        environ={**os.environ, "UV_CACHE_DIR": str(work / "uv-cache")},
        cwd=work,
    )
    return target


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {"cpus": os.cpu_count(), "model": model, "kernel": platform.release(), "load": [round(x, 2) for x in os.getloadavg()]}


def versions(driver: str) -> dict[str, str]:
    def first_line(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]

    return {
        "buildah": f"{first_line('buildah', '--version')}, {driver}",
        "registry": first_line("docker-registry", "--version"),
        "python": platform.python_version(),
        "uv": first_line(uv.program(), "--version"),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
