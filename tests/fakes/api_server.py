"""The Kubernetes API server in memory: an implementation of `slipway.kube.port.Kube` that tests can look into and
break.

It keeps resource versions with the whole history, server-side apply with an owner for each field, the status
subresource, generations, finalizers, owner references (`collect_garbage`), and a log of watch events. The contract
tests run over it and over a real API server. Calls through the port are counted and go through `before` and `after`;
what users and the cluster's own controllers do (`as_user`, `tests.fakes.cluster`) is neither counted nor disturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slipway.kube.port import Conflict, Object, Propagation, Rejected, Resource
from tests.fakes import rules, ssa
from tests.fakes.clock import FakeClock
from tests.fakes.objects import Objects, WatchEvent

WRITES = frozenset({"apply", "apply_status", "create", "replace", "delete"})


@dataclass(frozen=True)
class Call:
    """One call through the port, counted from 1; `write` counts writes alone, 0 for reads."""

    number: int
    write: int
    verb: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.namespace}/{self.name}"


Hook = Callable[[Call], None]


def _nothing(_call: Call) -> None:
    return None


def _newest(_call: Call) -> int | None:
    return None


class FakeApiServer:
    """`before` runs before a call is done and may raise instead of it; `after` runs when it is done and may raise
    although it was (a time-out after commit, a crash). `read_at` gives, for a read, the revision that it sees; None
    for the newest."""

    def __init__(self, clock: FakeClock | None = None, *, namespaces: tuple[str, ...] = ("default",)) -> None:
        self.clock = clock or FakeClock()
        self.objects = Objects(self.clock, namespaces)
        self.missing_kinds: set[str] = set()
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.read_at: Callable[[Call], int | None] = _newest
        self.calls: list[Call] = []
        self.user = "kubernetes-admin"
        self.logs: dict[tuple[str, str, str], bytes] = {}
        self._writes = 0

    # ---- the port ----

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        call = self._begin("get", resource.kind, namespace, name)
        found = self.objects.at((resource.kind, namespace, name), self.read_at(call))
        self.after(call)
        return ssa.clone(found)

    async def list(self, resource: Resource, namespace: str | None, labels: Mapping[str, str] | None = None) -> list[Object]:
        call = self._begin("list", resource.kind, namespace or "", "")
        revision = self.read_at(call)
        found = []
        for identity in sorted(self.objects.history):
            if identity[0] != resource.kind or (namespace is not None and identity[1] != namespace):
                continue
            obj = self.objects.at(identity, revision)
            if obj is not None and _matches(obj, labels):
                found.append(ssa.clone(obj))
        self.after(call)
        return found

    async def apply(self, manifest: Object, *, field_manager: str) -> Object:
        return self._write("apply", manifest, lambda: self.objects.apply(manifest, field_manager, None))

    async def apply_status(self, manifest: Object, *, field_manager: str) -> Object:
        return self._write("apply_status", manifest, lambda: self.objects.apply(manifest, field_manager, "status"))

    async def confirm(self, resource: Object) -> None:
        metadata = resource["metadata"]
        call = self._begin("confirm", resource["kind"], metadata.get("namespace", ""), metadata["name"])
        self.objects.check_preconditions(resource)
        self.after(call)

    async def confirm_gone(self, resource: Resource, namespace: str, name: str) -> None:
        call = self._begin("confirm", resource.kind, namespace, name)
        if self.objects.at((resource.kind, namespace, name), None) is not None:
            raise Conflict(f"{resource.kind} {namespace}/{name} is there")
        self.after(call)

    async def create(self, manifest: Object) -> Object:
        if manifest["kind"] == "SelfSubjectReview":
            return {**ssa.clone(manifest), "status": {"userInfo": {"username": self.user, "groups": []}}}
        return self._write("create", manifest, lambda: self.objects.create(manifest, ("slipway", "Update", "")))

    async def replace(self, manifest: Object) -> Object:
        return self._write("replace", manifest, lambda: self.objects.replace(manifest))

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        call = self._begin("delete", resource.kind, namespace, name)
        self.objects.delete((resource.kind, namespace, name), uid, propagation)
        self.after(call)

    async def pod_log(self, namespace: str, pod: str, container: str, *, tail_bytes: int, previous: bool = False) -> bytes | None:
        call = self._begin("log", "Pod", namespace, pod)
        log = self.logs.get((namespace, pod, container))
        self.after(call)
        return None if log is None else log[-tail_bytes:]

    # ---- what tests, users and the cluster's controllers do ----

    def heal(self) -> None:
        """Takes all faults away."""
        self.before, self.after, self.read_at = _nothing, _nothing, _newest

    @property
    def writes(self) -> int:
        """Writes through the port that were begun so far."""
        return self._writes

    def peek(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object now; not counted."""
        entry = self.objects.entries.get((kind, namespace, name))
        return ssa.clone(entry.object) if entry else None

    def all(self, kind: str | None = None) -> Sequence[Object]:
        """All objects now, sorted by identity; not counted."""
        return [ssa.clone(e.object) for i, e in sorted(self.objects.entries.items()) if kind in (None, i[0])]

    def as_user(self, manifest: Object, manager: str = "kubectl") -> Object:
        """``kubectl apply --server-side --force-conflicts``."""
        return ssa.clone(self.objects.apply(manifest, manager, None))

    def edit(
        self,
        kind: str,
        namespace: str,
        name: str,
        change: Callable[[Object], None],
        *,
        manager: str = "kubectl-edit",
        subresource: str = "",
    ) -> Object:
        """Reads, changes and replaces; with `subresource` ``status`` only that part counts, with ``scale`` only spec.replicas,
        without it all but the status.
        Raises AssertionError when there is no such object: then somebody should have made it."""
        entry = self.objects.entries.get((kind, namespace, name))
        assert entry is not None, f"there is no {kind} {namespace}/{name} to edit"
        new = ssa.clone(entry.object)
        change(new)
        if subresource == "scale":
            scaled, new = new, ssa.clone(entry.object)
            new["spec"]["replicas"] = scaled["spec"]["replicas"]
        elif subresource:
            new = {**ssa.clone(entry.object), "status": new.get("status", {})}
        elif kind in rules.WITH_STATUS:
            new = {**new, "status": ssa.clone(entry.object.get("status"))}
            new = {key: value for key, value in new.items() if value is not None}
        return ssa.clone(self.objects.update((kind, namespace, name), new, (manager, "Update", subresource)))

    def make(self, manifest: Object, manager: str = "controller") -> Object:
        """A create by somebody else, status included."""
        status = manifest.get("status")
        made = self.objects.create(manifest, (manager, "Update", ""))
        if status is None:
            return ssa.clone(made)
        metadata = made["metadata"]

        def change(obj: Object) -> None:
            obj["status"] = ssa.clone(status)

        return self.edit(made["kind"], metadata["namespace"], metadata["name"], change, manager=manager, subresource="status")

    def remove(self, kind: str, namespace: str, name: str, propagation: Propagation = "Background") -> None:
        """A delete by somebody else."""
        self.objects.delete((kind, namespace, name), None, propagation)

    def collect_garbage(self) -> bool:
        """One round of the garbage collector; says whether it did anything."""
        return self.objects.collect_garbage()

    @property
    def revision(self) -> int:
        """The newest resource version."""
        return self.objects.revision

    @property
    def events(self) -> Sequence[WatchEvent]:
        """What watches of everything would have sent since the start."""
        return self.objects.events

    def _begin(self, verb: str, kind: str, namespace: str, name: str) -> Call:
        write = 0
        if verb in WRITES:
            self._writes += 1
            write = self._writes
        call = Call(len(self.calls) + 1, write, verb, kind, namespace, name)
        self.calls.append(call)
        self.before(call)
        if kind in self.missing_kinds:
            raise Rejected(f"{call}: the server could not find the requested resource", code=404)
        return call

    def _write(self, verb: str, manifest: Object, do: Callable[[], Object]) -> Object:
        metadata = manifest["metadata"]
        call = self._begin(verb, manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        written = do()
        self.after(call)
        return ssa.clone(written)


def _matches(obj: Object, labels: Mapping[str, str] | None) -> bool:
    have = obj["metadata"].get("labels", {})
    return all(have.get(key) == value for key, value in (labels or {}).items())
