"""A small controller that does one of everything: a Job, a Service, a version, an alias, a pin. And its broken
sisters."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.kube.port import Object
from slipway.kube.resources import JOB, MODEL_BUILD
from slipway.reconcile.contract import (
    Applied,
    Deletion,
    DropPin,
    Event,
    Move,
    MoveAlias,
    Planned,
    PutBlobs,
    PutPin,
    RegisterVersion,
    Stalled,
    StatusUpdate,
    Transient,
)
from slipway.reconcile.deps import Deps
from slipway.registry.names import ModelName
from slipway.registry.records import FileEntry, VersionDraft, VersionRecord, digest_of
from tests.faults.world import World

KIND = "ModelBuild"


@dataclass(frozen=True)
class Observed:
    resource: Object
    jobs: tuple[Object, ...]
    version: VersionRecord | None
    alias: int | None
    pinned: bool


@dataclass(frozen=True)
class Decision:
    build: str
    state: str


class Toy:
    """Runs one Job per value of ``spec.value``, registers its result, and lets the alias ``champion`` follow."""

    resource = MODEL_BUILD
    field_manager = "slipway-toy"

    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def observe(self, resource: Object, now: datetime) -> Observed:
        metadata = resource["metadata"]
        run, registry = self.deps.executor.run, self.deps.registry
        jobs = await self.deps.kube.list(JOB, metadata["namespace"], {"slipway.dev/kind": KIND})
        model = ModelName.parse(_model(resource))
        alias = await run(registry.alias, model, "champion")
        pins = await run(registry.pins)
        return Observed(
            resource,
            tuple(job for job in jobs if _owned(job, metadata["uid"])),
            await run(registry.find_build, model, _build(resource)),
            alias.version if alias else None,
            any((pin.namespace, pin.name) == (metadata["namespace"], metadata["name"]) for pin in pins),
        )

    def validate(self, observed: Observed) -> Observed:
        if observed.resource["spec"].get("value") == "bad":
            raise Stalled("InvalidSpec", "spec.value: bad is not a value; choose another")
        return observed

    def plan(self, valid: Observed, now: datetime) -> Planned[Decision]:
        build = _build(valid.resource)
        job = self._job(valid.resource, build)
        mine = [live for live in valid.jobs if live["metadata"]["name"] == job["metadata"]["name"]]
        if valid.version is None and not (mine and _complete(mine[0])):
            return Planned(Decision(build, "Building"), children=(job,), live=valid.jobs)
        old = tuple(
            Deletion(JOB, live["metadata"]["namespace"], live["metadata"]["name"], live["metadata"]["uid"])
            for live in valid.jobs
            if live not in mine
        )
        service = _service(valid.resource, build)
        before: tuple[Move, ...] = ()
        if valid.version is None:
            data = f"model of {build}".encode()
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            entry = FileEntry(path="model.onnx", digest=digest, size=len(data))
            draft = VersionDraft(model=_model(valid.resource), build_id=build, reason="Test", files=(entry,), format="onnx")
            before = (PutBlobs({digest: data}), RegisterVersion(draft))
        after: tuple[Move, ...] = ()
        if valid.version is None or valid.alias != valid.version.version:
            number = valid.version.version if valid.version else None
            after += (MoveAlias(_model(valid.resource), "champion", number, by="test", reason="newest"),)
        if not valid.pinned:
            metadata = valid.resource["metadata"]
            after += (PutPin(KIND, metadata["namespace"], metadata["name"]),)
        return Planned(Decision(build, "Done"), before, (service,), old, after)

    def status(self, observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
        version = applied.registered or observed.version
        return _update(observed.resource, applied.decision.state, "", now, version.version if version else None)

    def status_stalled(self, resource: Object, stalled: Stalled, now: datetime) -> StatusUpdate:
        return _update(resource, stalled.reason, stalled.message, now)

    def status_transient(self, resource: Object, transient: Transient, now: datetime) -> StatusUpdate:
        return _update(resource, transient.reason, transient.message, now)

    def gone(self, namespace: str, name: str) -> tuple[Move, ...]:
        return (DropPin(KIND, namespace, name),)

    def _name(self, resource: Object, build: str) -> str:
        return f"{resource['metadata']['name']}-{build[7:15]}"

    def _job(self, resource: Object, build: str) -> Object:
        container = {"name": "main", "image": "toy", "resources": {"limits": {"cpu": "1000m"}}}
        template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": _metadata(resource, self._name(resource, build)),
            "spec": {"template": template, "backoffLimit": 0},
        }


class RandomNames(Toy):
    """Broken: a crash after the write leaves a Job that nobody knows."""

    def _name(self, resource: Object, build: str) -> str:
        return f"{resource['metadata']['name']}-{uuid.uuid4().hex[:8]}"


class Remembers(Toy):
    """Broken: what was started is remembered in the process, as an edge-triggered controller does."""

    def __init__(self, deps: Deps) -> None:
        super().__init__(deps)
        self.started: set[str] = set()

    def plan(self, valid: Observed, now: datetime) -> Planned[Decision]:
        planned = super().plan(valid, now)
        if planned.decision.state == "Building":
            if planned.decision.build in self.started:
                return Planned(planned.decision)
            self.started.add(planned.decision.build)
        elif planned.decision.build not in self.started:
            return Planned(planned.decision)
        return planned


class NeverQuiet(Toy):
    """Broken: writes a time that is new in each round."""

    def status(self, observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
        update = super().status(observed, applied, now)
        return StatusUpdate({**update.status, "lastSeen": now.isoformat()})


class Leaves(Toy):
    """Broken: its Service has no owner, so it stays when the resource goes."""

    def plan(self, valid: Observed, now: datetime) -> Planned[Decision]:
        planned = super().plan(valid, now)
        children = tuple(
            {**c, "metadata": {k: v for k, v in c["metadata"].items() if k != "ownerReferences"}}
            for c in planned.children
            if c["kind"] == "Service"
        )
        jobs = tuple(c for c in planned.children if c["kind"] != "Service")
        return Planned(planned.decision, planned.before, (*jobs, *children), planned.deletions, planned.after)


def world(toy: type[Toy] = Toy) -> World:
    """A world for one toy. A sound one needs fewer than a hundred reconciles for each action."""
    return World({KIND: toy}, max_reconciles=150)


def create(value: str = "1", name: str = "cancer") -> Any:
    """A user's ``kubectl apply``."""

    def act(world: World) -> None:
        manifest = {
            "apiVersion": "slipway.dev/v1alpha1",
            "kind": KIND,
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"value": value},
        }
        world.api.as_user(manifest)

    return act


def delete(world: World) -> None:
    world.api.remove(KIND, "default", "cancer")


def edit_child(world: World) -> None:
    """Somebody changes what is ours. It must be there, whatever went wrong before."""

    def change(obj: Object) -> None:
        obj["spec"]["ports"][0]["port"] = 9999

    world.api.edit("Service", "default", "cancer", change)


def _update(resource: Object, reason: str, message: str, now: datetime, version: int | None = None) -> StatusUpdate:
    old: Object = next(iter(resource.get("status", {}).get("conditions", [])), {})
    status = "True" if reason == "Done" else "False"
    since = old.get("lastTransitionTime") if old.get("status") == status else None
    ready = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since or now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    generation = resource["metadata"]["generation"]
    body = {"observedGeneration": generation, "conditions": [ready], "version": version}
    events = (Event("Normal", reason, message or reason),) if old.get("reason") != reason else ()
    return StatusUpdate(body, events)


def _service(resource: Object, build: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(resource, resource["metadata"]["name"]),
        "spec": {"selector": {"build": build[7:15]}, "ports": [{"name": "http", "port": 80}]},
    }


def _metadata(resource: Object, name: str) -> dict[str, Any]:
    metadata = resource["metadata"]
    return {
        "name": name,
        "namespace": metadata["namespace"],
        "labels": {"slipway.dev/kind": KIND, "slipway.dev/name": metadata["name"]},
        "ownerReferences": [
            {
                "apiVersion": resource["apiVersion"],
                "kind": resource["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "controller": True,
            }
        ],
    }


def _model(resource: Object) -> str:
    return f"{resource['metadata']['namespace']}/{resource['metadata']['name']}"


def _build(resource: Object) -> str:
    return digest_of(resource["spec"])


def _owned(child: Object, uid: str) -> bool:
    return any(reference["uid"] == uid for reference in child["metadata"].get("ownerReferences", ()))


def _complete(job: Object) -> bool:
    return any(c["type"] == "Complete" for c in job.get("status", {}).get("conditions", ()))
