"""What one reconcile is made of, as types: the driver goes observe, validate, plan, apply, status through them.

`Planned` and `Applied` differ, so that a status can only be derived from what was applied. All are immutable values;
only `observe` and the driver's own apply and status writes touch the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from slipway.features.definitions import FeatureView
from slipway.features.records import Revision
from slipway.kube.port import Object, Resource
from slipway.provenance.facts import BuildFacts
from slipway.reconcile.runs import RunEvent
from slipway.registry.records import AliasMove, Digest, JobResult, Refusal, VersionDraft, VersionRecord


@dataclass(frozen=True, order=True)
class Key:
    """One custom resource: what the queue remembers."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Stalled(Exception):
    """A person or a new spec is needed: say so in status, do not retry. `reason` is the condition's reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Transient(Exception):
    """Try again with back-off. `reason` names what is missing for now (StoreUnavailable, RegistryUnavailable …)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Conflict(Exception):
    """What was read is no longer true: read again at once."""


# ---- registry moves: what a plan may ask of the registry. Each is idempotent. ----


@dataclass(frozen=True)
class PutBlobs:
    """Content to keep under its digest before anything refers to it."""

    blobs: Mapping[Digest, bytes]


@dataclass(frozen=True)
class PutRequest:
    """The request document of an attempt (training or app build), as JSON bytes, put if absent."""

    build_id: Digest
    attempt: int
    document: bytes


@dataclass(frozen=True)
class StoreLog:
    """Keep a pod's log (read from the API server) as an artifact, for attempts that could not do so themselves.
    Its result, written with put-if-absent beside the request, is `result` with the log's entry added."""

    namespace: str
    pod: str
    container: str
    result: JobResult


@dataclass(frozen=True)
class RegisterVersion:
    """Registers `draft`, attested: `facts` are what the plan knows of the build by itself."""

    draft: VersionDraft
    facts: BuildFacts | None = None


@dataclass(frozen=True)
class MoveAlias:
    """`version` None stands for the version that a RegisterVersion of the same plan gave."""

    model: str
    alias: str
    version: int | None
    by: str
    reason: str


@dataclass(frozen=True)
class RefusePromotion:
    """Remembers that `version` is not promoted to `alias`. The first decision stands."""

    model: str
    alias: str
    version: int
    by: str
    reason: str
    expired: bool = False


@dataclass(frozen=True)
class PutPin:
    kind: str
    namespace: str
    name: str
    versions: tuple[str, ...] = ()
    blobs: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropPin:
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class ApplyDefinition:
    """Makes `view` the present revision of its name in the feature store."""

    namespace: str
    view: FeatureView
    by: str


Move = ApplyDefinition | PutBlobs | PutRequest | StoreLog | RegisterVersion | MoveAlias | RefusePromotion | PutPin | DropPin


@dataclass(frozen=True)
class Deletion:
    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Tell:
    """A JSON document that pods are sent. It says what shall be, may be sent again at any time, and may be lost."""

    urls: tuple[str, ...]
    document: Mapping[str, Any]


D = TypeVar("D")


@dataclass(frozen=True)
class Planned(Generic[D]):
    """What shall be done, in this order: registry moves `before`, children applied, deletions, registry moves
    `after`."""

    decision: D
    """What the kind decided, for its own status step."""
    before: tuple[Move, ...] = ()
    children: tuple[Object, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    after: tuple[Move, ...] = ()
    tell: tuple[Tell, ...] = ()
    """Sent when all else is done, and nothing of it is waited for."""
    requeue_after: float | None = None
    """Seconds until the next look; None: only the resync and events."""
    live: tuple[Object, ...] = ()
    """Children as `observe` read them. A child that is there as planned already is not written again; those that are
    not among `live` are read first."""


@dataclass(frozen=True)
class Applied(Generic[D]):
    """What was done. Children as the API server returned them, in the order of the plan."""

    decision: D
    children: tuple[Object, ...] = ()
    registered: VersionRecord | None = None
    moved: tuple[AliasMove, ...] = ()
    revision: Revision | None = None
    """Of the feature view that was applied."""
    refusal: Refusal | None = None
    """The decision that stands, after a RefusePromotion."""
    requeue_after: float | None = None


@dataclass(frozen=True)
class Event:
    """A Kubernetes event on the resource itself, sent once, after the status write succeeded."""

    type: str
    """Normal | Warning."""
    reason: str
    message: str
    action: str = "Reconcile"


@dataclass(frozen=True)
class StatusUpdate:
    """The whole status as it shall be, and the events that its change deserves."""

    status: dict[str, Any]
    events: tuple[Event, ...] = field(default=())
    runs: tuple[RunEvent, ...] = ()
    """What receivers of run events are told, once the status is written."""


O = TypeVar("O")  # noqa: E741
V = TypeVar("V")


@runtime_checkable
class LeavesTraces(Protocol):
    """A controller whose resources leave something outside the cluster (a pin in the registry) that owner references
    do not remove. Moves must be idempotent: they are done once for each event of a resource that is gone."""

    def gone(self, namespace: str, name: str) -> tuple[Move, ...]: ...


class Controller(Protocol[O, V, D]):
    """The five steps of one kind. `observe` may read; the others compute. `now` is the time of this reconcile, UTC."""

    resource: Resource
    field_manager: str

    async def observe(self, resource: Object, now: datetime) -> O:
        """Everything that the decision needs. Raises Transient or Stalled."""

    def validate(self, observed: O) -> V:
        """Raises Stalled with the reason and a message that names the field and the fix."""

    def plan(self, valid: V, now: datetime) -> Planned[D]: ...

    def status(self, observed: O, applied: Applied[D], now: datetime) -> StatusUpdate: ...

    def status_stalled(self, resource: Object, stalled: Stalled, now: datetime) -> StatusUpdate: ...

    def status_transient(self, resource: Object, transient: Transient, now: datetime) -> StatusUpdate: ...
