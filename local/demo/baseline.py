"""What the chain's times are compared with, and what the operator itself costs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress

from local.demo.install import OPERATOR_NAMESPACE, RELEASE
from local.demo.kubectl import Cluster
from local.errors import CommandError

WRITES = ("apply", "create", "delete")
"""Verbs that change something in the API server. `update` is the lease's only, `confirm` a dry run."""
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def empty_pod(cluster: Cluster, namespace: str, image: str) -> float:
    """Seconds from the creation of a pod whose Python does nothing until it is seen to have ended. The first one of an image on
    a node has the image pulled, too."""
    name = "slipway-demo-empty"
    _remove(cluster, namespace, name)
    security = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {"name": "empty", "image": image, "command": ["python", "-c", "pass"], "securityContext": security}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]},
    }
    began = time.monotonic()
    try:
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        cluster.kubectl("wait", f"pod/{name}", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=300s")
        return time.monotonic() - began
    finally:
        _remove(cluster, namespace, name)


def _remove(cluster: Cluster, namespace: str, name: str) -> None:
    with suppress(CommandError):
        cluster.kubectl("delete", "pod", name, "-n", namespace, "--ignore-not-found", "--grace-period=0", "--force")


def operator_metrics(cluster: Cluster) -> dict[str, float]:
    """The operator's samples by ``name{labels}``; empty when they cannot be had."""
    service = f"{RELEASE}-metrics"
    path = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/services/{service}:8080/proxy/metrics"
    try:
        text = cluster.kubectl("get", "--raw", path)
    except CommandError:
        return {}
    return {f"{name}{{{labels}}}" if labels else name: float(value) for name, labels, value in _SAMPLE.findall(text)}


def api_writes(samples: Mapping[str, float]) -> int:
    """Writes of the operator since it started, without its lease."""
    return int(sum(samples.get(f'rest_client_request_duration_seconds_count{{verb="{verb}"}}', 0) for verb in WRITES))
