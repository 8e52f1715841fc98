"""Helm, and a real API server for what it renders. Nothing acts on what is written there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from local import binaries
from local import settings as local_settings
from local.progress import Progress
from tests.chart.helm import Helm
from tests.integration.api.server import Server, running

MONITOR = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""The kind of the Prometheus operator, without its schema: enough for the chart's own object to be taken."""


@pytest.fixture(scope="session")
def helm() -> Helm:
    return Helm(str(binaries.ensure(local_settings.read(), Progress()).helm))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """With the CRDs, the namespaces that values speak of, and Pod Security as production has it."""
    with running() as started:
        for name in ("slipway-system", "team-a", "team-b", "restricted"):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            namespace["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
            assert started.apply(namespace, dry=False).ok
        assert started.apply(MONITOR, dry=False).ok
        known = started.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        assert known.ok, known.words
        yield started


@pytest.fixture(scope="session")
def releases(helm: Helm) -> Iterator[tuple[Helm, Server]]:
    """Helm with a cluster of its own, empty at first."""
    with running(definitions=False) as started:
        yield replace(helm, kubeconfig=started.kubeconfig), started
