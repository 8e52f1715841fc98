"""A driver over the in-memory API server and store, with a controller whose steps a test can replace one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipway.kube.port import Object
from slipway.kube.resources import MODEL_BUILD
from slipway.reconcile.apply import Applier
from slipway.reconcile.contract import Applied, Event, Key, Move, Planned, Stalled, StatusUpdate, Transient
from slipway.reconcile.driver import Driver, Outcome
from slipway.reconcile.events import EventSender
from slipway.reconcile.moves import RegistryMoves
from slipway.reconcile.status_writer import StatusWriter
from slipway.reconcile.stores import Inline
from slipway.registry.registry import Registry
from slipway.storage.memory import MemoryStore
from tests.fakes.api_server import FakeApiServer
from tests.fakes.clock import FakeClock

KEY = Key("ModelBuild", "default", "cancer")
Update = Callable[[str, str], StatusUpdate]


def update(reason: str, message: str = "") -> StatusUpdate:
    condition = {"type": "Ready", "status": "False", "reason": reason, "message": message}
    return StatusUpdate({"conditions": [condition]}, (Event("Normal", reason, message or "none"),))


@dataclass
class Scripted:
    """A controller of which a test says what each step does; exceptions in `raises` by step are raised there."""

    planned: Planned[str] = field(default_factory=lambda: Planned("decided"))
    raises: dict[str, Exception] = field(default_factory=dict)
    traces: tuple[Move, ...] = ()
    seen: list[str] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    resource = MODEL_BUILD
    field_manager = "slipway-test"

    def _step(self, name: str) -> None:
        self.seen.append(name)
        if name in self.raises:
            raise self.raises[name]

    async def observe(self, resource: Object, now: datetime) -> Object:
        self._step("observe")
        self.meanwhile()
        return resource

    def validate(self, observed: Object) -> Object:
        self._step("validate")
        return observed

    def plan(self, valid: Object, now: datetime) -> Planned[str]:
        self._step("plan")
        return self.planned

    def status(self, observed: Object, applied: Applied[str], now: datetime) -> StatusUpdate:
        self._step("status")
        return update("Done")

    def status_stalled(self, resource: Object, stalled: Stalled, now: datetime) -> StatusUpdate:
        return update(stalled.reason, stalled.message)

    def status_transient(self, resource: Object, transient: Transient, now: datetime) -> StatusUpdate:
        return update(transient.reason, transient.message)

    def gone(self, namespace: str, name: str) -> tuple[Move, ...]:
        return self.traces


class Bench:
    """One resource ``cancer`` and a driver for it."""

    def __init__(self, controller: Scripted | None = None) -> None:
        self.clock = FakeClock()
        self.api = FakeApiServer(self.clock)
        self.store = MemoryStore(clock=self.clock)
        self.registry = Registry(self.store, clock=self.clock, pause=lambda _seconds: None)
        self.controller = controller or Scripted()
        self.fence: Callable[[], None] = lambda: None
        self.gate: Callable[[], None] = lambda: None
        moves = RegistryMoves(self.api, self.registry, self.registry.blobs, Inline(), lambda: self.fence())
        self.driver = Driver(
            self.api,
            {"ModelBuild": self.controller},
            Applier(self.api, moves, lambda: self.fence()),
            moves,
            StatusWriter(self.api, EventSender(self.api, "test", self.clock), lambda: self.fence()),
            clock=self.clock,
            gate=lambda: self.gate(),
        )
        self.owner = self.api.as_user(
            {
                "apiVersion": "slipway.dev/v1alpha1",
                "kind": "ModelBuild",
                "metadata": {"name": "cancer", "namespace": "default"},
                "spec": {"value": 1},
            }
        )

    async def reconcile(self, failures: int = 0) -> Outcome:
        return await self.driver.reconcile(KEY, failures)

    def resource(self) -> Object:
        found = self.api.peek("ModelBuild", "default", "cancer")
        assert found is not None
        return found

    def reason(self) -> str | None:
        """The reason in status; None when there is no status."""
        conditions = self.resource().get("status", {}).get("conditions")
        return conditions[0]["reason"] if conditions else None

    def message(self) -> str:
        return str(self.resource()["status"]["conditions"][0]["message"])

    def verbs(self) -> list[str]:
        """The writes so far as ``verb Kind``."""
        return [f"{call.verb} {call.kind}" for call in self.api.calls if call.write]

    def child(self, kind: str = "ConfigMap", name: str = "child", **body: Any) -> Object:
        versions = {"ConfigMap": "v1", "Service": "v1", "Job": "batch/v1", "Deployment": "apps/v1"}
        metadata = self.owner["metadata"]
        reference = {
            "apiVersion": self.owner["apiVersion"],
            "kind": "ModelBuild",
            "name": "cancer",
            "uid": metadata["uid"],
            "controller": True,
        }
        full = {
            "name": name,
            "namespace": "default",
            "labels": {"slipway.dev/kind": "ModelBuild"},
            "ownerReferences": [reference],
        }
        return {"apiVersion": versions[kind], "kind": kind, "metadata": full, **body}

    def job(self, name: str = "train", image: str = "train") -> Object:
        containers = [{"name": "main", "image": image}]
        return self.child("Job", name, spec={"template": {"spec": {"containers": containers, "restartPolicy": "Never"}}})
