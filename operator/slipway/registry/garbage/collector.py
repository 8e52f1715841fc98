"""One run of the collector: execute what was condemned a grace period ago, then condemn what is unreferenced now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from slipway.registry import documents
from slipway.registry.garbage.lease import Lease
from slipway.registry.garbage.marks import Marks, Policy, check_whole, mark
from slipway.registry.garbage.state import (
    CONDEMNED,
    VERDICTS,
    Condemned,
    Retired,
    Verdict,
    retired_key,
    verdict_key,
)
from slipway.registry.names import ModelName
from slipway.registry.rollouts import KEPT
from slipway.registry.sequence import create
from slipway.storage.port import Denied, NotFound, ObjectInfo, ObjectStore

BLOBS = "blobs/sha256/"
MIN_GRACE = timedelta(hours=13)
"""A blob that is stored again within twelve hours is not written again (`slipway.registry.blobs`), so younger ones may be
about to be referred to."""
UPLOADS_END = timedelta(days=7)
"""Age from which an upload in parts counts as given up."""
Action = Literal["delete", "condemn", "retire", "restore"]


@dataclass(frozen=True)
class Item:
    """One thing that is done, or with a dry run would be. `size` in bytes for blobs."""

    action: Action
    kind: Literal["blob", "version", "attempt", "rollout"]
    name: str
    why: str
    size: int = 0


@dataclass(frozen=True)
class Collection:
    """What a run did. `kept` blobs are referred to; `young` and `waiting` ones are not: too young to be condemned, and
    condemned but not yet due. `freed` in bytes."""

    items: tuple[Item, ...]
    kept: int
    young: int
    waiting: int
    freed: int
    dry_run: bool


class Collector:
    """Collects the garbage of a registry. One run at a time; all calls block. Never call it with a clock of its own idea: ages
    are measured by the store's clock alone."""

    def __init__(
        self,
        store: ObjectStore,
        models: Callable[[], list[ModelName]],
        policy: Policy,
        *,
        run_id: str,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        monotonic: Callable[[], float],
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        if policy.grace < MIN_GRACE:
            raise ValueError(f"a grace period of {policy.grace} is too short: at least {MIN_GRACE}, or writers could be robbed")
        self._store = store
        self._models = models
        self._policy = policy
        self._run = run_id
        self._clock = clock
        self._pause = pause
        self._outer_fence = fence
        self._lease = Lease(store, run_id, clock=clock, monotonic=monotonic, pause=pause)

    def run(self, *, dry_run: bool = False) -> Collection:
        """Raises LostRace while another run is under way, and the store's errors; then it has deleted nothing that it should
        not have, and the next run goes on."""
        if dry_run:
            return self._collect(self._clock(), dry_run=True)
        now = self._lease.take()
        try:
            with suppress(Denied):  # a right that not everybody grants; a bucket's lifecycle rule does it too
                self._store.end_unfinished(BLOBS, now - UPLOADS_END)
            return self._collect(now, dry_run=False)
        finally:
            self._lease.release()

    def _fence(self) -> None:
        """Before each write: this run, and nobody else, may do it."""
        self._outer_fence()
        self._lease.hold()

    def _collect(self, now: datetime, *, dry_run: bool) -> Collection:
        before, since = self._condemned()
        due = since is not None and now - since >= self._policy.grace
        beat: Callable[[], None] = (lambda: None) if dry_run else self._lease.hold
        blobs = {}
        for info in self._store.list(BLOBS):
            beat()
            blobs["sha256:" + info.key.rpartition("/")[2]] = info
        marks = mark(self._store, self._models(), self._policy, now, beat)
        check_whole(marks, len(blobs))
        items = self._versions(marks, dry_run=dry_run) + self._attempts(marks, dry_run=dry_run)
        items += self._rollouts(marks, dry_run=dry_run)
        garbage = {digest: info for digest, info in blobs.items() if digest not in marks.digests}
        if before and not dry_run:
            self._finish([digest for digest in before.digests if digest not in blobs])
        sentenced = [d for d in before.digests if d in garbage and since and not _newer(garbage[d], since)] if before else []
        freed: list[Item] = []
        if due:
            freed = [self._item("delete", garbage[d], f"condemned {since:%Y-%m-%d %H:%M}, still unreferenced") for d in sentenced]
            if not dry_run:
                freed = [item for item in freed if self._delete(item.name)]
        rest = {d: info for d, info in garbage.items() if d not in {item.name for item in freed}}
        old = [d for d, info in rest.items() if info.modified is None or now - info.modified >= self._policy.grace]
        condemned: list[Item] = []
        if due or before is None:
            condemned = [self._item("condemn", rest[d], "nothing refers to it") for d in sorted(old)]
            if not dry_run:
                self._publish(now, old)
        waiting = len(condemned) if due or before is None else len(sentenced)
        return Collection(
            items=(*items, *freed, *condemned),
            kept=len(blobs) - len(garbage),
            young=len(rest) - len(old),
            waiting=waiting,
            freed=sum(item.size for item in freed),
            dry_run=dry_run,
        )

    def _condemned(self) -> tuple[Condemned | None, datetime | None]:
        try:
            stored = self._store.get(CONDEMNED)
        except NotFound:
            return None, None
        return documents.load(Condemned, stored.data, f"{self._store.uri}/{CONDEMNED}"), stored.info.modified

    def _publish(self, now: datetime, digests: Iterable[str]) -> None:
        # Old verdicts first: one about a blob that is condemned anew must not decide about it again.
        for info in list(self._store.list(VERDICTS)):
            if info.modified is not None and now - info.modified >= self._policy.grace:
                self._store.delete(info.key)
        self._fence()
        body = Condemned(run=self._run, at=self._clock(), digests=tuple(sorted(digests))).to_json()
        self._store.put(CONDEMNED, body, content_type="application/json")

    def _delete(self, digest: str) -> bool:
        """Deletes a blob unless a writer has claimed it."""
        self._fence()
        key = verdict_key(digest)
        mine = Verdict(by=self._run, outcome="deleting")
        stored = create(self._store, key, mine.to_json(), pause=self._pause)
        if stored != mine.to_json():
            verdict = documents.load(Verdict, stored, f"{self._store.uri}/{key}")
            if verdict.outcome != "deleting":
                return False
            # a collector died here: nobody but us may be at it, we hold the lease
        try:
            self._store.delete(_blob_key(digest))
        except Denied:
            # Nothing was deleted, and nobody with these rights ever will: no writer shall wait for it.
            kept = mine.model_copy(update={"outcome": "kept"})
            self._store.put(key, kept.to_json(), content_type="application/json")
            raise
        done = mine.model_copy(update={"outcome": "deleted"})
        self._store.put(key, done.to_json(), content_type="application/json")
        return True

    def _finish(self, gone: Iterable[str]) -> None:
        """Says of blobs that were deleted that they were: a collector that died then, or did not hear the answer, keeps writers waiting."""
        for digest in gone:
            key = verdict_key(digest)
            verdict = documents.read(self._store, key, Verdict)
            if verdict is not None and verdict.outcome == "deleting":
                self._fence()
                done = Verdict(by=self._run, outcome="deleted")
                self._store.put(key, done.to_json(), content_type="application/json")

    def _versions(self, marks: Marks, *, dry_run: bool) -> list[Item]:
        items = []
        for name, version in marks.restore:
            items.append(Item("restore", "version", f"{name}:{version}", "an alias or a pin names it"))
            if not dry_run:
                self._fence()
                self._store.delete(retired_key(name, version))
        for name, version in marks.retire:
            why = f"older than the newest {self._policy.retention[str(name)]} versions; no alias or pin names it"
            items.append(Item("retire", "version", f"{name}:{version}", why))
            if not dry_run:
                self._fence()
                marker = Retired(model=str(name), version=version, at=self._clock(), reason=why)
                create(self._store, retired_key(name, version), marker.to_json(), pause=self._pause)
        return items

    def _attempts(self, marks: Marks, *, dry_run: bool) -> list[Item]:
        if not dry_run:
            for key in marks.old_attempts:
                self._fence()
                self._store.delete(key)
        why = f"older than {self._policy.attempts.days} days, and no kept version came of it"
        return [Item("delete", "attempt", key, why) for key in marks.old_attempts]

    def _rollouts(self, marks: Marks, *, dry_run: bool) -> list[Item]:
        if not dry_run:
            for key in marks.old_rollouts:
                self._fence()
                self._store.delete(key)
        why = f"older than {self._policy.history.days} days, and {KEPT} newer ones of the ModelDeployment are kept"
        return [Item("delete", "rollout", key, why) for key in marks.old_rollouts]

    @staticmethod
    def _item(action: Action, info: ObjectInfo, why: str) -> Item:
        return Item(action, "blob", "sha256:" + info.key.rpartition("/")[2], why, info.size)


def _newer(info: ObjectInfo, since: datetime) -> bool:
    return info.modified is None or info.modified > since


def _blob_key(digest: str) -> str:
    value = digest.removeprefix("sha256:")
    return f"{BLOBS}{value[:2]}/{value}"
