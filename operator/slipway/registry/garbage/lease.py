"""One collection at a time: a lease that its holder renews, and that another takes over soon after the holder has died.

Each holder has a *term*, an object of its own under ``gc/lock/`` that is claimed by put-if-absent; the highest one counts. Only
its holder writes it again, to renew it or to give it back, so that a late renewal never touches a successor's. Whoever finds
the highest term given back, or not renewed for `LEASE` by the store's clock, claims the next number. A holder trusts its lease
for half of that since it began to renew it, by its own clock: what it has sent by then has ended when another may begin.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from slipway.registry import documents
from slipway.registry.errors import LostRace
from slipway.registry.garbage.state import TERMS, Term, term_key
from slipway.registry.sequence import create
from slipway.storage.port import NotFound, ObjectInfo, ObjectStore, StorageError

LEASE = timedelta(minutes=5)
"""Age of a renewal, by the store's clock, from which its holder counts as dead."""
RENEW_EVERY = 60.0
TRUSTED_FOR = LEASE.total_seconds() / 2
"""Seconds since the last renewal was begun, by the holder's own clock, after which it stops."""
_REMEMBERED = timedelta(days=7)
"""Age of a term from which its object is swept."""


class Lease:
    """The lease of run `run`. Not thread-safe; all calls block, and raise the store's errors besides their own."""

    def __init__(
        self,
        store: ObjectStore,
        run: str,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._store = store
        self._run = run
        self._clock = clock
        self._monotonic = monotonic
        self._pause = pause
        self._number = 0
        self._renewed = 0.0

    def take(self) -> datetime:
        """Gives the time by the store's clock. Raises LostRace while another holds it."""
        terms = list(self._store.list(TERMS))
        last = _number(terms[-1]) if terms else 0
        if last:
            self._check_free(last)
        self._number, self._renewed = last + 1, self._monotonic()
        mine = self._term()
        if create(self._store, term_key(self._number), mine, pause=self._pause) != mine:
            raise LostRace(f"{self._store.uri}: another collection has just begun: let it end")
        now = self._store.head(term_key(self._number)).modified or self._clock()
        for info in terms:
            if info.modified is not None and now - info.modified > _REMEMBERED:
                with suppress(StorageError):
                    self._store.delete(info.key)
        return now

    def hold(self) -> None:
        """Renews the lease when it is time; call it between any two requests that may take long. Raises LostRace when it is lost."""
        now = self._monotonic()
        if now - self._renewed < RENEW_EVERY:
            return
        if now - self._renewed >= TRUSTED_FOR:
            raise LostRace(
                f"{self._store.uri}: this collection stood still for {now - self._renewed:.0f} s: another may run by now"
            )
        if next(self._store.list(TERMS, start_after=term_key(self._number), limit=1), None) is not None:
            raise LostRace(f"{self._store.uri}: another collection has begun: this one ends")
        self._store.put(term_key(self._number), self._term(), content_type="application/json")
        self._renewed = now

    def release(self) -> None:
        """Gives it back, so that the next collection may begin at once."""
        self._store.put(term_key(self._number), self._term(released=True), content_type="application/json")

    def _check_free(self, last: int) -> None:
        key = term_key(last)
        try:
            stored = self._store.get(key)
        except NotFound:
            return
        if documents.load(Term, stored.data, f"{self._store.uri}/{key}").released:
            return
        # The age of a term needs the present time by the same clock: from an object written now.
        probe = f"gc/clock/{self._run}"
        self._store.put(probe, b"-")
        now = self._store.head(probe).modified or self._clock()
        self._store.delete(probe)
        renewed = stored.info.modified
        if renewed is None or now - renewed < LEASE:
            since = f", seen {renewed:%Y-%m-%d %H:%M:%S}" if renewed is not None else ""
            raise LostRace(
                f"{self._store.uri}: another collection is running{since}: let it end; if it has died, another can begin "
                f"{LEASE.total_seconds() / 60:.0f} minutes after it was last seen"
            )

    def _term(self, *, released: bool = False) -> bytes:
        return Term(run=self._run, at=self._clock(), released=released).to_json()


def _number(info: ObjectInfo) -> int:
    return int(info.key.removeprefix(TERMS).removesuffix(".json"))
