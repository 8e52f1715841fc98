"""A controller that keeps a suspended Job and a Service for each ModelBuild; run as a module, an operator with it."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime

from slipway.kube.port import Object
from slipway.kube.resources import CONFIG_MAP, MODEL_BUILD
from slipway.reconcile.contract import Applied, Event, Planned, Stalled, StatusUpdate, Transient
from slipway.reconcile.deps import Deps
from slipway.reconcile.process import run
from slipway.settings import Settings
from slipway.telemetry import logs


class Echo:
    """Stalled while the ConfigMap of its source is not there; a Service shows what the ConfigMap says."""

    resource = MODEL_BUILD
    field_manager = "slipway-echo"

    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def observe(self, resource: Object, now: datetime) -> tuple[Object, Object | None]:
        metadata = resource["metadata"]
        name = resource["spec"]["source"]["configMap"]["name"]
        return resource, await self.deps.kube.get(CONFIG_MAP, metadata["namespace"], name)

    def validate(self, observed: tuple[Object, Object | None]) -> tuple[Object, Object]:
        resource, source = observed
        if source is None:
            raise Stalled("SourceMissing", "source.configMap: there is none of this name")
        return resource, source

    def plan(self, valid: tuple[Object, Object], now: datetime) -> Planned[str]:
        resource, source = valid
        pod = {"containers": [{"name": "main", "image": "echo"}], "restartPolicy": "Never"}
        job = {"suspend": True, "template": {"spec": pod}}
        selector = {"says": source.get("data", {}).get("says", "nothing")}
        service = {"selector": selector, "ports": [{"port": 80}]}
        children = (_child(resource, "batch/v1", "Job", job), _child(resource, "v1", "Service", service))
        return Planned(selector["says"], children=children)

    def status(self, observed: tuple[Object, Object | None], applied: Applied[str], now: datetime) -> StatusUpdate:
        return _update(observed[0], "Registered", f"says {applied.decision}", "True", now)

    def status_stalled(self, resource: Object, stalled: Stalled, now: datetime) -> StatusUpdate:
        return _update(resource, stalled.reason, stalled.message, "False", now)

    def status_transient(self, resource: Object, transient: Transient, now: datetime) -> StatusUpdate:
        return _update(resource, transient.reason, transient.message, "Unknown", now)


def _child(resource: Object, version: str, kind: str, spec: Object) -> Object:
    metadata = resource["metadata"]
    owner = {
        "apiVersion": resource["apiVersion"],
        "kind": resource["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    own = {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "labels": {"slipway.dev/kind": resource["kind"]},
        "ownerReferences": [owner],
    }
    return {"apiVersion": version, "kind": kind, "metadata": own, "spec": spec}


def _update(resource: Object, reason: str, message: str, status: str, now: datetime) -> StatusUpdate:
    old = next(iter(resource.get("status", {}).get("conditions", [])), None)
    same = old is not None and old["status"] == status
    since = old["lastTransitionTime"] if same and old else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    generation = resource["metadata"]["generation"]
    ready = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
        "observedGeneration": generation,
    }
    events = () if old and old["reason"] == reason else (Event("Normal", reason, message),)
    return StatusUpdate({"observedGeneration": generation, "conditions": [ready]}, events)


if __name__ == "__main__":
    logs.setup("text", "INFO")
    sys.exit(asyncio.run(run(Settings.load(), {"ModelBuild": Echo})))
