"""The only module that writes ``.status``: once per reconcile, only when it changes; events only after that has
worked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from slipway.kube.port import Kube, Object
from slipway.reconcile.contract import StatusUpdate
from slipway.reconcile.events import EventSender
from slipway.reconcile.runs import RunEvent


class StatusWriter:
    """`fence` runs before a write and raises LeaseLost when this process may no longer write. `tell` takes the runs
    that a written status tells of; it must not wait."""

    def __init__(
        self, kube: Kube, events: EventSender, fence: Callable[[], None], tell: Callable[[Iterable[RunEvent]], None] | None = None
    ) -> None:
        self._tell = tell
        self._kube = kube
        self._events = events
        self._fence = fence

    async def write(self, resource: Object, update: StatusUpdate, *, field_manager: str) -> bool:
        """Makes `update` the whole status of `resource`, and says whether that was a write.

        Sent with the uid and the version that the decision was made from: one made from an old state, or for another
        resource of the same name, gets the port's Conflict and leaves the status alone."""
        wanted = _plain(update.status)
        if _plain(resource.get("status", {})) == wanted:
            return False
        self._fence()
        metadata = resource["metadata"]
        written = await self._kube.apply_status(
            {
                "apiVersion": resource["apiVersion"],
                "kind": resource["kind"],
                "metadata": {
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "uid": metadata["uid"],
                    "resourceVersion": metadata["resourceVersion"],
                },
                "status": wanted,
            },
            field_manager=field_manager,
        )
        if self._tell is not None:
            self._tell(update.runs)
        await self._events.send(written, update.events)
        return True


def _plain(status: Any) -> Any:
    """The status as JSON would carry it, without fields that are None."""
    return json.loads(json.dumps(_without_none(status)))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value
