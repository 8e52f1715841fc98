"""``python -m bench.rollout [--count N] [--out FILE]``: N ModelDeployments applied at once on a real API server without nodes; then
the alias of each is moved. Pods are simulated: whoever makes a Deployment finds it ready a moment later. Fails unless all are right
in the end. The operator is a process of its own, measured by its own /metrics."""

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

from local.control_plane import ControlPlane
from slipway.kube import config
from slipway.kube.client import KubeClient
from slipway.kube.port import Object
from slipway.kube.resources import DEPLOYMENT, MODEL_DEPLOYMENT
from slipway.registry.records import VersionDraft
from slipway.registry.registry import Registry

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
LIMIT_SECONDS = 300.0
"""For each phase, and for more than 500 resources 0.6 s for each."""
RETIRED = 20.0
"""Seconds after which the revisions that served before are gone."""
IMAGE = "registry.example.com/slipway/serving@sha256:" + "b" * 64
WRITES = ("POST", "PUT", "PATCH", "DELETE")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rollout", description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results" / "rollout.json")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder, ControlPlane() as plane:
        report = asyncio.run(measure(Path(folder), plane.kubeconfig, options.count))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")
    print(json.dumps(report, indent=2, sort_keys=True))
    return 0


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
        kubelet = asyncio.create_task(simulate(kube))
        stack.callback(kubelet.cancel)
        phases = {}
        started = time.monotonic()
        await apply_all(kube, names)
        await all_serve(kube, count, 1)
        phases["applied"] = figures(port, time.monotonic() - started, count, {})
        before = counted(port)
        started = time.monotonic()
        publish(registry, names, 2)
        await all_serve(kube, count, 2)
        phases["alias moved"] = figures(port, time.monotonic() - started, count, before)
        await asyncio.sleep(RETIRED)
        before = counted(port)
        await asyncio.sleep(20)
        quiet = sum(counted(port).values()) - sum(before.values())
    return {
        "what": "ModelDeployments on a real API server without nodes; pods simulated",
        "count": count,
        "phases": phases,
        "writes in 20 s of rest": quiet,
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
            "load": os.getloadavg(),
        },
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def apply_definitions(kubeconfig: Path) -> None:
    from local import binaries, settings
    from local.progress import Progress

    kubectl = binaries.ensure(settings.read(), Progress()).component("kubectl")
    argv = [str(kubectl), "--kubeconfig", str(kubeconfig)]
    subprocess.run([*argv, "apply", "--server-side", "-f", str(ROOT / "crds")], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*argv, "wait", "--for=condition=Established", "crd", "--all"], check=True, stdout=subprocess.DEVNULL)


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


async def simulate(kube: KubeClient) -> None:
    """Deployments become ready a moment after they were made or changed, as on nodes that have all the images."""
    while True:
        for deployment in await kube.list(DEPLOYMENT, NAMESPACE):
            if not is_done(deployment):
                await kube.apply_status(ready(deployment), field_manager="bench-kubelet")
        await asyncio.sleep(0.5)


def is_done(deployment: Object) -> bool:
    status = deployment.get("status", {})
    wanted = deployment["spec"]["replicas"]
    seen = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return seen and status.get("availableReplicas", 0) == wanted


def ready(deployment: Object) -> Object:
    meta, wanted = deployment["metadata"], deployment["spec"]["replicas"]
    counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), wanted)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "status": {"observedGeneration": meta["generation"], **counts},
    }


async def apply_all(kube: KubeClient, names: list[str]) -> None:
    slots = asyncio.Semaphore(20)

    async def apply(name: str) -> None:
        spec = {"model": {"name": name, "alias": "champion"}, "replicas": 1}
        manifest = {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "spec": spec}
        async with slots:
            await kube.apply(manifest | {"metadata": {"name": name, "namespace": NAMESPACE}}, field_manager="bench")

    await asyncio.gather(*(apply(name) for name in names))


async def all_serve(kube: KubeClient, count: int, version: int) -> None:
    limit = max(LIMIT_SECONDS, 0.6 * count)
    deadline = time.monotonic() + limit
    while True:
        found = await kube.list(MODEL_DEPLOYMENT, NAMESPACE)
        right = [resource for resource in found if serves(resource, version)]
        if len(right) == count:
            return
        assert time.monotonic() < deadline, f"{len(right)} of {count} after {limit:.0f} s"
        await asyncio.sleep(1)


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


def figures(port: int, seconds: float, count: int, before: dict[str, float]) -> dict[str, Any]:
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
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
