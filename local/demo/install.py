"""Images into the cluster's registry, the chart into the cluster. Done again, they change nothing that is right already."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from local.demo.kubectl import Cluster
from local.errors import LocalError
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


def make_buckets(cluster: Cluster) -> None:
    """The buckets of this cluster, as far as they are missing."""
    import boto3
    from botocore.exceptions import ClientError

    info = cluster.info
    s3 = boto3.client(
        "s3",
        endpoint_url=info.s3_endpoint,
        region_name=info.s3_region,
        aws_access_key_id=info.s3_access_key,
        aws_secret_access_key=info.s3_secret_key,
    )
    for bucket in info.buckets:
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise LocalError(f"bucket {bucket} of {info.s3_endpoint}: {error}") from error
            s3.create_bucket(Bucket=bucket)


def install_chart(cluster: Cluster, digests: dict[str, str], tenants: tuple[str, ...], progress: Progress) -> None:
    """Helm upgrade --install, waited for. Nothing is done when this chart with these values is installed and runs."""
    wanted = json.dumps(values(cluster, digests, tenants))
    description = f"{_chart_digest()}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if _installed(cluster) == description:
        return
    for namespace in tenants:
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    with progress.step("the Helm chart is installed and the operator is ready"):
        cluster.helm(
            "upgrade", "--install", RELEASE, str(CHART), "--namespace", OPERATOR_NAMESPACE, "--create-namespace",
            "--values", "-", "--wait", "--timeout", "180s", "--description", description,
            stdin=wanted,
        )  # fmt: skip


def _chart_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in CHART.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(CHART)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _installed(cluster: Cluster) -> str:
    """The description that a release was installed with, as long as its operator runs; else empty."""
    said = cluster.helm("status", RELEASE, "--namespace", OPERATOR_NAMESPACE, "-o", "json", check=False)
    info = json.loads(said)["info"] if said.strip() else {}
    operator = cluster.get("deployment", RELEASE, OPERATOR_NAMESPACE) or {}
    wanted, ready = operator.get("spec", {}).get("replicas", 1), operator.get("status", {}).get("readyReplicas", 0)
    runs = info.get("status") == "deployed" and ready >= wanted
    return str(info.get("description", "")) if runs else ""
