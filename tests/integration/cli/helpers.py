"""What the tests of the command line share: its type, model files, versions, resources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

from slipway.kube.port import Object, Rejected
from slipway.registry.records import FileEntry, GateResult, VersionDraft, VersionRecord, digest_of
from slipway.registry.registry import Registry
from tests.fakes.api_server import FakeApiServer

Cli = Callable[..., Result]
"""Runs ``slipway …``; keyword arguments are environment variables."""

BUILD_ID = "sha256:" + "b" * 64
IMAGE = "registry.example.com/ml/api@sha256:" + "c" * 64


class Cluster(FakeApiServer):
    """Tells who we are, when it knows."""

    person = ""

    async def create(self, manifest: Object) -> Object:
        if manifest["kind"] != "SelfSubjectReview":
            return await super().create(manifest)
        if not self.person:
            raise Rejected("create SelfSubjectReview: the server could not find the requested resource", code=404)
        return {**manifest, "status": {"userInfo": {"username": self.person}}}


def _field(number: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([number << 3 | 2, len(body)]) + body


def onnx_file(path: Path, name: bytes = b"model") -> Path:
    """A file that is ONNX by its structure, too small for anybody to run: enough where nothing loads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x08\x08" + _field(7, _field(2, name)) + _field(8, b"\x10\x15"))
    return path


def register(registry: Registry, model: str = "default/bc", *, seed: int = 0, **fields: object) -> VersionRecord:
    """A version with a model file, a report and a log."""
    blobs = registry.blobs
    files = (blobs.put_bytes(f"model {seed}".encode(), "application/vnd.onnx", path="model.onnx"),)
    reports: tuple[FileEntry, ...] = (blobs.put_bytes(b"<html>", "text/html", path="roc.html"),)
    logs: tuple[FileEntry, ...] = (blobs.put_bytes(f"epoch {seed}\ndone\n".encode(), "text/plain", path="train.log"),)
    draft = VersionDraft(
        model=model,
        build_id=digest_of([model, seed]),
        reason="FirstBuild",
        files=files,
        reports=reports,
        logs=logs,
        format="onnx",
        params={"C": 0.3, "solver": "lbfgs"},
        metrics={"roc_auc": 0.99 + seed / 1000, "accuracy": 0.95},
        gates=(GateResult(metric="roc_auc", passed=True, message="roc_auc 0.99 ≥ 0.95", value=0.99, bound=0.95),),
    )
    return registry.register(draft.model_copy(update=fields))


# ---- resources as they are in the cluster ----


def condition(kind: str, status: str, reason: str, message: str = "", generation: int = 1) -> Object:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-01T12:00:00Z",
        "observedGeneration": generation,
    }


def resource(kind: str, name: str, spec: Object, status: Object | None = None, namespace: str = "default") -> Object:
    made: Object = {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
    return {**made, "status": status} if status is not None else made


def model_build(name: str = "bc", status: Object | None = None, namespace: str = "default", **spec: Any) -> Object:
    base: Object = {"source": {"configMap": {"name": "code"}}, "trainer": {"entrypoint": "train:main"}}
    return resource("ModelBuild", name, base | spec, status, namespace)


def app_build(name: str = "api", status: Object | None = None, **spec: Any) -> Object:
    base: Object = {"source": {"configMap": {"name": "app"}}, "output": {"repository": "registry.example.com/ml/api"}}
    return resource("AppBuild", name, base | spec, status)


def model_deployment(name: str = "bc", status: Object | None = None, **spec: Any) -> Object:
    base: Object = {"model": {"name": "bc", "alias": "champion"}, "replicas": 2}
    return resource("ModelDeployment", name, base | spec, status)


def run(outcome: str, **fields: Any) -> Object:
    """A build in status."""
    base: Object = {"id": BUILD_ID, "reason": "SpecChanged", "attempt": 1, "job": "bc-bbbbbbbb", "outcome": outcome}
    return base | {"startedAt": "2026-11-01T12:00:00Z"} | fields


def promoted(number: int = 1, **fields: Any) -> Object:
    """Status of a ModelBuild that is done."""
    version = {
        "number": number,
        "digest": "sha256:" + "d" * 64,
        "metrics": {"roc_auc": "0.9947"},
        "gates": [{"metric": "roc_auc", "passed": True, "message": "roc_auc 0.9947 ≥ 0.95"}],
        "promotedTo": "champion",
    }
    return {
        "observedGeneration": 1,
        "conditions": [condition("Ready", "True", "Promoted", "promoted to champion")],
        "build": run("Succeeded", finishedAt="2026-11-01T12:00:12Z"),
        "version": version,
    } | fields
