"""Makes a plan real, in its order. Decides nothing: whether a child has to be written at all is a comparison of
values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from slipway.api.common import LABEL_KIND
from slipway.kube.port import Conflict, Kube, Object, Rejected
from slipway.kube.resources import BY_KIND
from slipway.reconcile.compare import holds, stamped
from slipway.reconcile.contract import Applied, Deletion, Planned, Stalled
from slipway.reconcile.errors import NAME_TAKEN, PODS_REFUSED, REJECTED, NamespaceGone
from slipway.reconcile.moves import Moved, RegistryMoves
from slipway.telemetry.scrape import Teller

D = TypeVar("D")
Identity = tuple[str, str, str]
"""Kind, namespace and name of a child."""

WRITTEN_ONCE = frozenset({"Job"})
"""Kinds whose spec the API server lets nobody change. A Job's name says what it does, so one that is there is right;
and one that an older operator made must not be an error to a newer one."""
MAKES_PODS = frozenset({"Job", "Deployment"})
TERMINATING_LOOK = 2.0
"""Seconds until the next look when a child is on its way out and its successor needs its name."""


class Applier:
    """`fence` runs before each write and raises LeaseLost when this process may no longer write."""

    def __init__(self, kube: Kube, moves: RegistryMoves, fence: Callable[[], None], teller: Teller | None = None) -> None:
        self._teller = teller
        self._kube = kube
        self._moves = moves
        self._fence = fence

    async def apply(self, planned: Planned[D], *, owner: Object, field_manager: str) -> Applied[D]:
        """Raises Stalled for what the API server refuses, NamespaceGone, and the errors of both ports. Before its first
        write it makes sure that `owner` is still as it was read: nothing is done on an old wish."""
        guard = _Guard(self._kube, owner, self._fence)
        moved = Moved()
        for move in planned.before:
            await guard()
            await self._moves.make(move, moved)
        live = {_identity(child): child for child in planned.live}
        children = [await self._child(child, live, owner, field_manager, guard) for child in planned.children]
        for deletion in planned.deletions:
            await guard()
            await self._delete(deletion)
        for move in planned.after:
            await guard()
            await self._moves.make(move, moved)
        for said in planned.tell:
            self._fence()
            if self._teller is not None:
                await self._teller.tell(said.urls, said.document)
        return Applied(
            decision=planned.decision,
            children=tuple(children),
            registered=moved.registered,
            moved=moved.aliases,
            revision=moved.revision,
            refusal=moved.refusal,
            requeue_after=_requeue(planned.requeue_after, children),
        )

    async def _child(
        self,
        manifest: Object,
        observed: Mapping[Identity, Object],
        owner: Object,
        field_manager: str,
        guard: _Guard,
    ) -> Object:
        identity = _identity(manifest)
        kind, namespace, name = identity
        live = observed.get(identity) or await self._kube.get(BY_KIND[kind], namespace, name)
        wanted = stamped(manifest)
        if live is not None:
            _refuse_strangers(live, owner)
            if kind in WRITTEN_ONCE or _is_terminating(live) or holds(live, wanted):
                return live
        await guard()
        try:
            return await self._kube.apply(wanted, field_manager=field_manager)
        except Rejected as error:
            if error.namespace_gone:
                raise NamespaceGone(str(error)) from error
            raise Stalled(PODS_REFUSED if kind in MAKES_PODS else REJECTED, str(error)) from error

    async def _delete(self, deletion: Deletion) -> None:
        try:
            await self._kube.delete(deletion.resource, deletion.namespace, deletion.name, uid=deletion.uid)
        except Conflict:
            # Another object of that name by now: the one that was meant is gone.
            return


class _Guard:
    """Called before each write of one plan: the first time it asks the server whether the resource is still the one
    that was read, and each time whether this process may still write."""

    def __init__(self, kube: Kube, owner: Object, fence: Callable[[], None]) -> None:
        self._kube = kube
        self._owner = owner
        self._fence = fence
        self._confirmed = False

    async def __call__(self) -> None:
        if not self._confirmed:
            await self._kube.confirm(self._owner)
            self._confirmed = True
        self._fence()


def _identity(child: Object) -> Identity:
    metadata = child["metadata"]
    return child["kind"], metadata.get("namespace", ""), metadata["name"]


def _refuse_strangers(live: Object, owner: Object) -> None:
    """Server-side apply with force would take over whatever has the name. Ours are owned by this resource, or carry our
    label (made for an earlier resource of the same name, whose garbage has not been collected yet)."""
    metadata: dict[str, Any] = live["metadata"]
    owners: Iterable[Mapping[str, Any]] = metadata.get("ownerReferences", ())
    if any(reference.get("uid") == owner["metadata"]["uid"] for reference in owners):
        return
    if LABEL_KIND in metadata.get("labels", {}):
        return
    kind, namespace, name = _identity(live)
    raise Stalled(
        NAME_TAKEN,
        f"{kind} {namespace}/{name} exists and is not Slipway's: remove it, or give this {owner['kind']} another name",
    )


def _is_terminating(live: Object) -> bool:
    return "deletionTimestamp" in live["metadata"]


def _requeue(planned: float | None, children: list[Object]) -> float | None:
    if not any(_is_terminating(child) for child in children):
        return planned
    return min(planned, TERMINATING_LOOK) if planned is not None else TERMINATING_LOOK
