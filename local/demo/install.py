"""Images into the cluster's registry, the chart into the cluster. Done again, they change nothing that is right already."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local.demo.kubectl import Cluster
from local.progress import Progress
from local.settings import child_environment
from local.shell import run

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "slipway"
OPERATOR_NAMESPACE = "slipway-system"
RELEASE = "slipway"
IMAGES = ("operator", "training", "serving")
PUSH_PREFIX = "slipway"


def slipway(*words: str, **env: str) -> str:
    """Runs this checkout's own command line and returns its stdout."""
    argv = [sys.executable, "-m", "slipway.cli", *words]
    return run(argv, env=child_environment(PYTHONPATH=str(ROOT / "operator"), **env), cwd=ROOT, timeout=1800)


def push_images(cluster: Cluster, progress: Progress) -> dict[str, str]:
    """Builds the project's images, or takes them from the cache, and pushes them. Digests by short name."""
    info = cluster.info
    with progress.step("images of operator, training and serving are in the registry"):
        target = f"{info.registry}/{PUSH_PREFIX}"
        said = slipway("images", "build", *IMAGES, "--push", target, "--insecure", info.registry, "-o", "json")
    return {entry["name"].removeprefix("slipway-"): entry["digest"] for entry in json.loads(said)}


def image(cluster: Cluster, name: str, digest: str) -> str:
    """The reference by which nodes pull one of IMAGES."""
    return f"{cluster.info.registry_in_cluster}/{PUSH_PREFIX}/slipway-{name}@{digest}"


def values(cluster: Cluster, digests: dict[str, str], tenants: tuple[str, ...]) -> dict[str, object]:
    """The chart's values for this cluster: its registry and store by the addresses that pods use."""
    info = cluster.info
    return {
        "image": {
            "registry": f"{info.registry_in_cluster}/{PUSH_PREFIX}",
            **{name: {"digest": digest} for name, digest in digests.items()},
        },
        "registry": {"uri": f"s3://{info.buckets[0]}"},
        "store": {
            "endpoint": info.s3_endpoint_in_cluster,
            "region": info.s3_region,
            "accessKey": info.s3_access_key,
            "secretKey": info.s3_secret_key,
        },
        "tenants": list(tenants),
        "insecureRegistries": [info.registry_in_cluster],
    }


def install_chart(cluster: Cluster, digests: dict[str, str], tenants: tuple[str, ...], progress: Progress) -> None:
    """Helm upgrade --install, waited for. Nothing is done when the release has these values and is healthy."""
    wanted = values(cluster, digests, tenants)
    for namespace in tenants:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    with progress.step("the Helm chart is installed and the operator is ready"):
        cluster.helm(
            "upgrade", "--install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE, "--create-namespace",
            "--values", "-", "--wait", "--timeout", "180s",
            stdin=json.dumps(wanted),
        )  # fmt: skip
