"""Kubernetes events: one for each change of a status, named by that change so that sending it again makes no second
one."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from slipway.kube.port import Conflict, Kube, KubeError, Object
from slipway.reconcile.contract import Event

log = logging.getLogger(__name__)

CONTROLLER = "slipway.dev/operator"
MAX_NOTE = 1024
MAX_NAME = 253


class EventSender:
    """`instance` names this process. Events are news, not state: one that cannot be sent is logged and forgotten."""

    def __init__(self, kube: Kube, instance: str, clock: Callable[[], datetime]) -> None:
        self._kube = kube
        self._instance = instance[:128]
        self._clock = clock

    async def send(self, regarding: Object, events: Iterable[Event]) -> None:
        """`regarding` is the resource as the status write returned it: its resourceVersion names the change."""
        for event in dict.fromkeys(events):
            manifest = self._manifest(regarding, event)
            try:
                await self._kube.create(manifest)
            except Conflict:
                continue  # sent before
            except KubeError as error:
                log.warning("event %s of %s not sent: %s", event.reason, manifest["metadata"]["name"], error)

    def _manifest(self, regarding: Object, event: Event) -> Object:
        metadata = regarding["metadata"]
        change = "\n".join((metadata["uid"], metadata["resourceVersion"], event.type, event.reason, event.action, event.message))
        suffix = hashlib.sha256(change.encode()).hexdigest()[:16]
        now = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        note = event.message if len(event.message) <= MAX_NOTE else event.message[: MAX_NOTE - 1] + "…"
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name'][: MAX_NAME - 17]}.{suffix}",
                "namespace": metadata["namespace"],
            },
            "eventTime": now,
            "type": event.type,
            "reason": event.reason[:128],
            "action": event.action[:128],
            "note": note,
            "regarding": {
                "apiVersion": regarding["apiVersion"],
                "kind": regarding["kind"],
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
        }
