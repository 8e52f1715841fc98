"""The writer's side of garbage collection: before it relies on a blob, it makes sure that the blob stays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from slipway.registry import documents
from slipway.registry.garbage.state import CONDEMNED, Condemned, Verdict, verdict_key
from slipway.registry.sequence import create
from slipway.storage.port import NotFound, ObjectStore, Unavailable

LOOK_EVERY = 600.0
"""Seconds for which the list of the condemned is remembered. Far less than the least grace period."""
WAIT = 60.0
"""Seconds to wait for a collector that is deleting the very blob."""


class Guard:
    """Thread-safe; all calls block."""

    def __init__(
        self,
        store: ObjectStore,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._pause = pause
        self._lock = threading.Lock()
        self._digests: frozenset[str] = frozenset()
        self._looked: float | None = None

    def secure(self, digest: str, writer: str) -> bool:
        """Makes sure that no collector deletes the blob `digest` from now on. False when one has deleted it, or is done with
        doing so: it has to be written anew, and then stays. Raises Unavailable when a collector does not come to an end."""
        if digest not in self._condemned():
            return True
        mine = Verdict(by=writer, outcome="kept")
        deadline = self._monotonic() + WAIT
        key = verdict_key(digest)
        stored = create(self._store, key, mine.to_json(), pause=self._pause)
        while True:
            verdict = documents.load(Verdict, stored, f"{self._store.uri}/{key}")
            if verdict.outcome == "kept":
                return True
            if verdict.outcome == "deleted":
                return False
            if self._monotonic() >= deadline:
                raise Unavailable(
                    f"{self._store.uri}: {digest} is being collected as garbage, by a collector that may have died over it: "
                    "try again; the next collection ends that, from five minutes after the other one died (slipway gc)"
                )
            self._pause(0.5)
            try:
                stored = self._store.get(key).data
            except NotFound:
                return False  # the collector has cleaned up behind itself

    def _condemned(self) -> frozenset[str]:
        with self._lock:
            now = self._monotonic()
            if self._looked is None or now - self._looked >= LOOK_EVERY:
                found = documents.read(self._store, CONDEMNED, Condemned)
                self._digests = frozenset(found.digests) if found else frozenset()
                self._looked = now
            return self._digests
