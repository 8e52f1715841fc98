"""What the tests on the real cluster share: resources made from Python, and waiting for facts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.demo.install import OPERATOR_NAMESPACE
from local.demo.kubectl import Cluster, Object, condition, describe, is_current
from local.errors import CommandError
from local.progress import Progress
from local.providers import provider

PATIENCE = 180.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Chain:
    """The cluster with the operator on it, and a namespace for one test."""

    cluster: Cluster
    namespace: str

    def apply(self, manifest: Object) -> None:
        manifest = {**manifest, "metadata": {**manifest["metadata"], "namespace": self.namespace}}
        self.cluster.apply(manifest)

    def get(self, kind: str, name: str) -> Object | None:
        return self.cluster.get(kind, name, self.namespace)

    def delete(self, kind: str, name: str, *more: str) -> None:
        self.cluster.kubectl("delete", kind, name, "-n", self.namespace, "--ignore-not-found", *more)

    def run(self, *words: str, folder: Path = ROOT) -> str:
        """A command of a page, with this cluster's variables: what it prints. Python's arguments."""
        env = os.environ | self.cluster.info.environment() | {"PYTHONPATH": str(ROOT / "operator")}
        env["SLIPWAY_REGISTRY"] = f"s3://{self.cluster.info.buckets[0]}"
        done = subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def slipway(self, *words: str, folder: Path = ROOT) -> str:
        """`slipway` in the test's namespace: what it prints."""
        return self.run("-m", "slipway.cli", *words, "-n", self.namespace, folder=folder)

    def names(self, kind: str, selector: str = "") -> list[str]:
        words = ["get", kind, "-n", self.namespace, "-o", "name", *(["-l", selector] if selector else [])]
        return self.cluster.kubectl(*words).split()

    def until(self, kind: str, name: str, holds: Callable[[Object], bool], *, seconds: float = PATIENCE) -> Object:
        """The object once `holds`. Fails with what the object says of itself."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(kind, name)
            if found is not None and holds(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{kind} {name} after {seconds:.0f} s: {describe(found)}\n{found}")
            time.sleep(0.5)

    def until_ready(self, kind: str, name: str, reason: str, *, seconds: float = PATIENCE) -> Object:
        return self.until(kind, name, lambda found: is_current(found) and ready_reason(found) == reason, seconds=seconds)


def kill_operator(cluster: Cluster) -> None:
    """As SIGKILL: no grace."""
    words = ("-n", OPERATOR_NAMESPACE, "-l", "app.kubernetes.io/name=slipway")
    cluster.kubectl("delete", "pod", *words, "--grace-period=0", "--force", "--wait=false")


@contextmanager
def away(cluster: Cluster, daemon: str) -> Iterator[None]:
    """SeaweedFS or the image registry of the bare cluster, killed; started again afterwards."""
    bare = provider(cluster.info.provider, progress=Progress(quiet=True))
    detail = next(part.detail for part in bare.status().parts if part.name == daemon)
    os.kill(int(detail.removeprefix("pid ")), signal.SIGKILL)
    try:
        yield
    finally:
        bare.up()


def ready_reason(resource: Object) -> str:
    ready = condition(resource, "Ready")
    return str(ready["reason"]) if ready else ""


def ready_message(resource: Object) -> str:
    ready = condition(resource, "Ready")
    return str(ready.get("message", "")) if ready else ""


def poll(what: str, holds: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """The first true answer of `holds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {seconds:.0f} s: {what}")
        time.sleep(0.5)


def code(name: str, **files: str) -> Object:
    """A ConfigMap with Python files: ``code("c", train="…")`` has the key train.py."""
    data = {f"{key}.py": textwrap.dedent(text) for key, text in files.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def resource(kind: str, name: str, **spec: Any) -> Object:
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def model_build(name: str, source: str, **spec: Any) -> Object:
    body: dict[str, Any] = {
        "source": {"configMap": {"name": source}},
        "trainer": {"entrypoint": "train:main"},
        "promotion": {"alias": "champion"},
        "retry": {"limit": 0},
    }
    return resource("ModelBuild", name, **(body | spec))


TINY = """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    def main(run):
        seed = int(run.params.get("seed", 7))
        rows = np.random.default_rng(seed).normal(size=(60, 3)).astype("float32")
        labels = (rows.sum(axis=1) > 0).astype(int)
        estimator = LogisticRegression(C=float(run.params.get("C", 1.0))).fit(rows, labels)
        run.log_metric("accuracy", estimator.score(rows, labels))
        run.log_report("notes.txt", "trained")
        run.save_model(estimator, X=rows)
"""


@contextmanager
def namespace(cluster: Cluster, copy_secret_from: str) -> Iterator[str]:
    """A namespace of its own, Pod Security restricted, with the store's Secret, removed afterwards."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    secret = cluster.get("secret", "slipway-store", copy_secret_from)
    assert secret is not None
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "slipway-store", "namespace": name},
            "type": "Opaque",
            "data": secret["data"],
        }
    )
    try:
        yield name
    finally:
        with suppress(CommandError):
            cluster.kubectl("delete", "namespace", name, "--wait=false")
