"""The same tests over the in-memory API server and over a real one (etcd, kube-apiserver, kube-controller-manager)."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local import binaries
from local import settings as local_settings
from local.control_plane import ControlPlane
from local.progress import Progress
from slipway.kube.client import KubeClient
from slipway.kube.port import Kube, Object
from tests.fakes.api_server import FakeApiServer

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Place:
    """A fresh namespace of one implementation. `settle` lets garbage collection do its work until the condition
    holds."""

    kube: Kube
    namespace: str
    real: bool
    settle: Callable[[Callable[[], Awaitable[bool]]], Awaitable[None]]

    def config_map(self, name: str = "one", **parts: object) -> Object:
        return self.manifest("v1", "ConfigMap", name, {"data": {"a": "1"}, **parts})

    def manifest(self, api_version: str, kind: str, name: str, body: Object | None = None) -> Object:
        metadata: Object = {"name": name, "namespace": self.namespace}
        body = dict(body or {})
        metadata |= body.pop("metadata", {})
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}

    def build(self, name: str = "cancer", **spec: object) -> Object:
        """A ModelBuild that the schema accepts."""
        full = {"source": {"configMap": {"name": "code"}}, "trainer": {"entrypoint": "train:main"}, **spec}
        return self.manifest("slipway.dev/v1alpha1", "ModelBuild", name, {"spec": full})


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(controller_manager=True) as plane:
        kubectl = binaries.ensure(local_settings.read(), Progress()).component("kubectl")
        subprocess.run(
            [str(kubectl), "--kubeconfig", str(plane.kubeconfig), "apply", "--server-side", "-f", str(ROOT / "crds")],
            check=True,
            capture_output=True,
        )
        subprocess.run(
            [
                *(str(kubectl), "--kubeconfig", str(plane.kubeconfig), "wait", "--for=condition=Established", "crd"),
                *("--all", "--timeout=30s"),
            ],
            check=True,
            capture_output=True,
        )
        yield plane


@pytest.fixture(params=["fake", "real"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    if request.param == "fake":
        yield fake_place(namespace)
        return
    plane: ControlPlane = request.getfixturevalue("control_plane")
    async with KubeClient.connect(kubeconfig=plane.kubeconfig) as client:
        await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        yield Place(client, namespace, True, poll)


def fake_place(namespace: str) -> Place:
    api = FakeApiServer(namespaces=(namespace,))
    api.missing_kinds.add("Widget")

    async def settle(condition: Callable[[], Awaitable[bool]]) -> None:
        while api.collect_garbage():
            pass
        assert await condition()

    return Place(api, namespace, False, settle)


async def poll(condition: Callable[[], Awaitable[bool]], deadline: float = 20.0) -> None:
    """Waits until the cluster's controllers have made the condition true."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    while not await condition():
        assert loop.time() < end, f"not within {deadline:g} s"
        await asyncio.sleep(0.1)
