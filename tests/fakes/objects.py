"""What the fake API server keeps: objects with their owners per field, all their versions, and the rules of each
verb."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slipway.kube.port import Conflict, Object, Propagation, Rejected
from slipway.kube.resources import BY_KIND
from tests.fakes import rules, ssa
from tests.fakes.clock import FakeClock

Id = tuple[str, str, str]
"""Kind, namespace, name."""
Manager = tuple[str, str, str]
"""Name, operation (Apply or Update), subresource."""

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


@dataclass(frozen=True)
class WatchEvent:
    """What a watch would have sent."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Object


@dataclass
class Entry:
    """The newest version of an object, and who owns which of its fields."""

    object: Object
    managers: dict[Manager, set[ssa.Path]] = field(default_factory=dict)


class Objects:
    """All objects of a cluster. Raises the port's errors."""

    def __init__(self, clock: FakeClock, namespaces: tuple[str, ...]) -> None:
        self.clock = clock
        self.namespaces = set(namespaces)
        self.terminating: set[str] = set()
        self.revision = 0
        self.entries: dict[Id, Entry] = {}
        self.history: dict[Id, list[tuple[int, Object | None]]] = {}
        self.events: list[WatchEvent] = []
        self._incarnations: dict[Id, int] = {}

    def at(self, identity: Id, revision: int | None) -> Object | None:
        versions = self.history.get(identity, [])
        if revision is None:
            return versions[-1][1] if versions else None
        past = [obj for at, obj in versions if at <= revision]
        return past[-1] if past else None

    def apply(self, manifest: Object, manager: str, subresource: str | None) -> Object:
        identity = identity_of(manifest)
        entry = self.entries.get(identity)
        self.check_preconditions(manifest, uid=subresource is None)
        me = (manager, "Apply", subresource or "")
        if entry is None:
            if subresource:
                raise Rejected(f'{_plural(identity[0])} "{identity[2]}" not found', code=404)
            return self.create(manifest, me)
        wanted = ssa.owned(manifest, subresource=subresource)
        mine = entry.managers.get(me, set())
        others = {path for name, paths in entry.managers.items() if name != me for path in paths}
        dropped = {path for path in mine - set(wanted) if not ssa.covers(others, path)}
        live = ssa.removed(entry.object, dropped)
        new = ssa.merged(live, _content(manifest, subresource))
        managers = _taken(entry.managers, me, wanted, ssa.owned(entry.object, subresource=subresource))
        return self._store(identity, new, managers)

    def create(self, manifest: Object, me: Manager) -> Object:
        identity = identity_of(manifest)
        kind, _, name = identity
        if identity in self.entries:
            raise Conflict(f'{_plural(kind)} "{name}" already exists')
        if BY_KIND[kind].namespaced:
            self._check_namespace(identity)
        metadata = {
            **ssa.clone(manifest["metadata"]),
            "uid": self._new_uid(identity),
            "creationTimestamp": self.clock.text(),
        }
        if kind in rules.WITH_GENERATION:
            metadata["generation"] = 1
        body = {k: ssa.clone(v) for k, v in manifest.items() if k != "status" or kind not in rules.WITH_STATUS}
        obj = {**body, "metadata": metadata}
        rules.check(obj)
        obj = rules.with_defaults(obj)
        return self._commit(identity, obj, {me: set(ssa.owned(manifest, subresource=None))}, "ADDED")

    def _new_uid(self, identity: Id) -> str:
        """Random to look at, but the same in each run: the n-th object of a name always gets the same one."""
        number = self._incarnations[identity] = self._incarnations.get(identity, 0) + 1
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{'/'.join(identity)}#{number}"))

    def replace(self, manifest: Object) -> Object:
        identity = identity_of(manifest)
        entry = self.entries.get(identity)
        if entry is None:
            raise Rejected(f'{_plural(identity[0])} "{identity[2]}" not found', code=404)
        self.check_preconditions(manifest)
        new = {**ssa.clone(manifest), "metadata": {**entry.object["metadata"], **manifest["metadata"]}}
        if identity[0] in rules.WITH_STATUS and "status" in entry.object:
            new["status"] = entry.object["status"]
        return self.update(identity, new, ("slipway", "Update", ""))

    def update(self, identity: Id, new: Object, me: Manager) -> Object:
        entry = self.entries[identity]
        subresource = me[2] or None
        old_fields = ssa.owned(entry.object, subresource=subresource)
        new_fields = ssa.owned(new, subresource=subresource)
        changed = {path for path, value in new_fields.items() if old_fields.get(path) != value}
        lost = changed | (set(old_fields) - set(new_fields))
        managers = {name: paths - lost for name, paths in entry.managers.items()}
        managers[me] = managers.get(me, set()) | changed
        return self._store(identity, new, managers)

    def _store(self, identity: Id, new: Object, managers: dict[Manager, set[ssa.Path]]) -> Object:
        old = self.entries[identity].object
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}}
        managers = {name: paths for name, paths in managers.items() if paths}
        if new == old and managers == self.entries[identity].managers:
            return old
        rules.check(new)
        rules.check_change(old, new)
        if identity[0] in rules.WITH_GENERATION and _desired(new) != _desired(old):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        terminating = "deletionTimestamp" in new["metadata"]
        if terminating and not new["metadata"].get("finalizers"):
            return self._drop(identity, new)
        return self._commit(identity, new, managers, "MODIFIED")

    def _commit(
        self, identity: Id, obj: Object, managers: dict[Manager, set[ssa.Path]], kind: Literal["ADDED", "MODIFIED"]
    ) -> Object:
        self.revision += 1
        shown = [
            {"manager": name, "operation": operation, **({"subresource": sub} if sub else {})}
            for name, operation, sub in sorted(managers)
        ]
        metadata = {**obj["metadata"], "resourceVersion": str(self.revision), "managedFields": shown}
        obj = {**obj, "metadata": metadata}
        self.entries[identity] = Entry(obj, managers)
        self.history.setdefault(identity, []).append((self.revision, obj))
        self.events.append(WatchEvent(self.revision, kind, obj))
        return obj

    def delete(self, identity: Id, uid: str | None, propagation: Propagation) -> None:
        entry = self.entries.get(identity)
        if entry is None or (uid is not None and entry.object["metadata"]["uid"] != uid):
            return
        metadata = ssa.clone(entry.object["metadata"])
        finalizers = list(metadata.get("finalizers", []))
        marker = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(propagation)
        if marker and marker not in finalizers:
            finalizers.append(marker)
        if not finalizers:
            self._drop(identity, entry.object)
            return
        if "deletionTimestamp" in metadata and finalizers == metadata.get("finalizers"):
            return
        metadata.setdefault("deletionTimestamp", self.clock.text())
        metadata["finalizers"] = finalizers
        if "generation" in metadata:
            metadata["generation"] += 1
        self._commit(identity, {**entry.object, "metadata": metadata}, entry.managers, "MODIFIED")

    def _drop(self, identity: Id, last: Object) -> Object:
        self.revision += 1
        del self.entries[identity]
        self.history.setdefault(identity, []).append((self.revision, None))
        self.events.append(WatchEvent(self.revision, "DELETED", last))
        return last

    def _finish_deletion(self, identity: Id, orphan: bool) -> None:
        uid = self.entries[identity].object["metadata"]["uid"]
        dependents = [i for i, e in sorted(self.entries.items()) if _owned_by(e.object, uid)]

        def disown(obj: Object) -> None:
            metadata = obj["metadata"]
            metadata["ownerReferences"] = [o for o in metadata["ownerReferences"] if o["uid"] != uid]

        for dependent in dependents:
            if orphan:
                self._edit(dependent, disown)
            else:
                self.delete(dependent, None, "Background")

        def release(obj: Object) -> None:
            metadata = obj["metadata"]
            metadata["finalizers"] = [f for f in metadata["finalizers"] if f not in (FOREGROUND, ORPHAN)]

        self._edit(identity, release)

    def _check_namespace(self, identity: Id) -> None:
        kind, namespace, name = identity
        if not namespace:
            raise Rejected(f'{kind} "{name}": an empty namespace may not be set', code=400)
        if namespace not in self.namespaces:
            raise Rejected(f'namespaces "{namespace}" not found', code=404, namespace_gone=True)
        if namespace in self.terminating:
            words = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise Rejected(f'{_plural(kind)} "{name}" is forbidden: {words}', code=403, namespace_gone=True)

    def check_preconditions(self, manifest: Object, *, uid: bool = True) -> None:
        """Raises Conflict when the manifest's uid or resourceVersion, if it has any, is not the newest object's. The real
        server does not look at the uid of an applied status."""
        metadata, entry = manifest["metadata"], self.entries.get(identity_of(manifest))
        identity = f'{_plural(manifest["kind"])} "{metadata["name"]}"'
        live = entry.object["metadata"] if entry else {}
        if uid and metadata.get("uid") and metadata["uid"] != live.get("uid"):
            raise Conflict(f"Operation cannot be fulfilled on {identity}: uid mismatch")
        if metadata.get("resourceVersion") and metadata["resourceVersion"] != live.get("resourceVersion"):
            raise Conflict(f"Operation cannot be fulfilled on {identity}: the object has been modified")

    def _edit(self, identity: Id, change: Callable[[Object], None]) -> None:
        new = ssa.clone(self.entries[identity].object)
        change(new)
        self.update(identity, new, ("gc", "Update", ""))

    def collect_garbage(self) -> bool:
        """One round of the garbage collector; says whether it did anything."""
        uids = {entry.object["metadata"]["uid"] for entry in self.entries.values()}
        before = self.revision
        for identity in sorted(self.entries):
            entry = self.entries.get(identity)
            if entry is None:
                continue
            finalizers = entry.object["metadata"].get("finalizers", [])
            if "deletionTimestamp" in entry.object["metadata"] and (FOREGROUND in finalizers or ORPHAN in finalizers):
                self._finish_deletion(identity, ORPHAN in finalizers)
                continue
            owners = entry.object["metadata"].get("ownerReferences", [])
            if owners and not any(owner["uid"] in uids for owner in owners):
                self.delete(identity, None, "Background")
        return self.revision != before


def identity_of(manifest: Object) -> Id:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _plural(kind: str) -> str:
    resource = BY_KIND[kind]
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _owned_by(obj: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in obj["metadata"].get("ownerReferences", ()))


def _content(manifest: Object, subresource: str | None) -> Object:
    """The part of a manifest that an apply takes."""
    if subresource:
        return {subresource: manifest.get(subresource, {})}
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in ("uid", "resourceVersion", "managedFields")}
    return {**{k: v for k, v in manifest.items() if k != "status"}, "metadata": metadata}


def _desired(obj: Object) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _taken(
    managers: Mapping[Manager, set[ssa.Path]], me: Manager, wanted: ssa.Fields, live: ssa.Fields
) -> dict[Manager, set[ssa.Path]]:
    """The owners after an apply with force: who has another value loses the field, who has the same shares it."""
    forced = {path for path, value in wanted.items() if live.get(path) != value}
    after = {name: paths - forced for name, paths in managers.items() if name != me}
    after[me] = set(wanted)
    return after
