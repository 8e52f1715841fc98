"""``python -m bench.rollout [--count N …] [--out FILE]``: N ModelDeployments applied at once on a real control plane with nodes of kwok,
then the alias of each is moved; for each N anew. Fails unless all are right in the end. The operator is a process of its own,
measured by its own /metrics."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.rollout.nodes import kubectl, nodes
from bench.rollout.report import promises, table
from local.control_plane import ControlPlane
from slipway.kube import config
from slipway.kube.client import KubeClient
from slipway.kube.port import Object
from slipway.kube.resources import DEPLOYMENT, MODEL_DEPLOYMENT, POD
from slipway.registry.records import VersionDraft
from slipway.registry.registry import Registry

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
LIMIT_SECONDS = 450.0
"""For each phase, and for more than 500 resources 0.9 s for each."""
IMAGE = "registry.example.com/slipway/serving@sha256:" + "b" * 64
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rollout", description=__doc__)
    parser.add_argument("--count", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "rollout.json")
    options = parser.parse_args(arguments)
    before = os.getloadavg()
    report = {
        "what": "ModelDeployments on a real control plane (API server, controller manager, scheduler) with nodes of kwok",
        "runs": [run(count) for count in options.count],
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "load before": before,
            "load after": os.getloadavg(),
        },
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    print(table(report))
    return 0 if all(held for _promise, _value, held in promises(report)) else 1


def run(count: int) -> dict[str, Any]:
    """One count, from an empty cluster."""
    print(f"{count} ModelDeployments …", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder,
        ControlPlane(controller_manager=True, scheduler=True) as plane,
        nodes(Path(folder), plane.kubeconfig, free_port()),
    ):
        return asyncio.run(measure(Path(folder), plane.kubeconfig, count))


async def measure(folder: Path, kubeconfig: Path, count: int) -> dict[str, Any]:
    """Both phases. Raises AssertionError when one does not come to its end."""
    apply_definitions(kubeconfig)
    registry = Registry.open(f"file://{folder}/registry")
    names = [f"model-{number:04d}" for number in range(count)]
    publish(registry, names, 1)
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(KubeClient.of(config.load(kubeconfig)))
        port = free_port()
        process = operator(folder, kubeconfig, port)
        stack.callback(end, process)
        await until(lambda: answers(port), 60)
        phases = {}
        started = time.monotonic()
        await apply_all(kube, names)
        await all_serve(kube, count, 1)
        phases["applied"] = figures(process.pid, port, time.monotonic() - started, count, {})
        before = counted(port)
        started = time.monotonic()
        publish(registry, names, 2)
        await all_serve(kube, count, 2)
        phases["alias moved"] = figures(process.pid, port, time.monotonic() - started, count, before)
        await retired(kube, count)
        before = counted(port)
        await asyncio.sleep(20)
        quiet = sum(counted(port).values()) - sum(before.values())
    return {"count": count, "phases": phases, "writes in 20 s of rest": quiet}


def apply_definitions(kubeconfig: Path) -> None:
    kubectl(kubeconfig, "apply", "--server-side", "-f", str(ROOT / "crds"))
    kubectl(kubeconfig, "wait", "--for=condition=Established", "crd", "--all")


def publish(registry: Registry, names: list[str], number: int) -> None:
    """A version of each model, and its alias moved to it."""
    for place, name in enumerate(names):
        model = f"{NAMESPACE}/{name}"
        stored = registry.blobs.put_bytes(f"{name} {number}".encode(), "application/octet-stream", path="model.onnx")
        build = f"sha256:{place:032d}{number:032d}"
        registry.register(VersionDraft(model=model, build_id=build, reason="bench", files=(stored,), format="onnx"))
        registry.move_alias(model, "champion", number, by="bench", reason="bench")


def operator(folder: Path, kubeconfig: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "operator"),
        "KUBECONFIG": str(kubeconfig),
        "SLIPWAY_REGISTRY": f"file://{folder}/registry",
        "SLIPWAY_SERVING_IMAGE": IMAGE,
        "SLIPWAY_NAMESPACE": NAMESPACE,
        "SLIPWAY_LEADER_ELECT": "false",
        "SLIPWAY_HEALTH_PORT": str(port),
        "SLIPWAY_BIND_ADDRESS": "127.0.0.1",
    }
    log = (folder / "operator.log").open("wb")
    return subprocess.Popen([sys.executable, "-m", "slipway"], env=environment, stdout=log, stderr=log)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(30)


async def apply_all(kube: KubeClient, names: list[str]) -> None:
    slots = asyncio.Semaphore(20)

    async def apply(name: str) -> None:
        spec = {"model": {"name": name, "alias": "champion"}, "replicas": 1}
        manifest = {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "spec": spec}
        async with slots:
            await kube.apply(manifest | {"metadata": {"name": name, "namespace": NAMESPACE}}, field_manager="bench")

    await asyncio.gather(*(apply(name) for name in names))


async def all_serve(kube: KubeClient, count: int, version: int) -> None:
    limit = max(LIMIT_SECONDS, 0.9 * count)
    deadline = time.monotonic() + limit
    told = 0.0
    while True:
        found = await kube.list(MODEL_DEPLOYMENT, NAMESPACE)
        right = [resource for resource in found if serves(resource, version)]
        if len(right) == count:
            return
        assert time.monotonic() < deadline, f"{len(right)} of {count} after {limit:.0f} s: {await where(kube)}"
        if time.monotonic() - told > 15:
            told = time.monotonic()
            print(f"  version {version}: {len(right)} of {count} right; {await where(kube)}", file=sys.stderr)
        await asyncio.sleep(1)


async def where(kube: KubeClient) -> str:
    """How far things are, in words."""
    deployments, pods = await kube.list(DEPLOYMENT, NAMESPACE), await kube.list(POD, NAMESPACE)
    placed = [pod for pod in pods if pod["spec"].get("nodeName")]
    runs = [pod for pod in placed if pod["status"].get("phase") == "Running"]
    return f"{len(deployments)} Deployments, {len(pods)} pods, {len(placed)} on nodes, {len(runs)} running"


async def retired(kube: KubeClient, count: int) -> None:
    """Waits until each has one pod on a node, and the revisions that served before are gone."""
    limit = max(LIMIT_SECONDS, 0.9 * count)
    deadline = time.monotonic() + limit
    while True:
        deployments, pods = await kube.list(DEPLOYMENT, NAMESPACE), await kube.list(POD, NAMESPACE)
        placed = [pod for pod in pods if pod["spec"].get("nodeName") and pod["status"].get("phase") == "Running"]
        if len(deployments) == len(pods) == len(placed) == count:
            return
        words = f"{len(deployments)} Deployments, {len(pods)} pods, {len(placed)} of them running after {limit:.0f} s"
        assert time.monotonic() < deadline, words
        await asyncio.sleep(2)


def serves(resource: Object, version: int) -> bool:
    status = resource.get("status", {})
    ready = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
    return ready.get("status") == "True" and status.get("stable", {}).get("version") == version


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def answers(port: int) -> bool:
    try:
        return bool(page(port))
    except OSError:
        return False


async def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the operator does not start"
        await asyncio.sleep(0.2)


def counted(port: int) -> dict[str, float]:
    """The operator's writes so far, by method."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(page(port)):
        for sample in family.samples:
            if sample.name == "rest_client_requests_total" and sample.labels.get("method", "").upper() in WRITES:
                method = sample.labels["method"].upper()
                found[method] = found.get(method, 0.0) + sample.value
    return found


def peak(process: int) -> float:
    """MiB that the process took at most so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def figures(process: int, port: int, seconds: float, count: int, before: dict[str, float]) -> dict[str, Any]:
    writes = sum(counted(port).values()) - sum(before.values())
    memory = next(
        sample.value
        for family in text_string_to_metric_families(page(port))
        for sample in family.samples
        if sample.name == "process_resident_memory_bytes"
    )
    return {
        "right": count,
        "seconds": round(seconds, 1),
        "writes per resource": round(writes / count, 2),
        "operator MiB": round(memory / (1 << 20)),
        "peak MiB": round(peak(process)),
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
