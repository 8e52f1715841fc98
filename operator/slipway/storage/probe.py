"""Does a store keep its promises? Asked once at start-up, before anything relies on them.

The registry stands on one thing: of many writers that put one key *if absent*, exactly one wins, and the others are told.
Some stores ignore the header and let all win (Garage does), some check it without a lock. Both would give one version
number to two models, silently. So it is tried, and such a store is refused.
"""

from __future__ import annotations

import threading
import uuid as uuid_module
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from slipway.storage.port import (
    Denied,
    NotFound,
    ObjectStore,
    OutcomeUnknown,
    Precondition,
    StorageError,
    Unavailable,
)

RACERS = 16
Verdict = Literal["Ok", "Refused", "Denied", "Unavailable"]


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. One that is not `required` is only good to know."""

    name: str
    passed: bool
    detail: str
    required: bool = True


@dataclass(frozen=True)
class ProbeReport:
    """What was found. `verdict`: ``Refused``: the store is no good for a registry; ``Denied``: rights or the bucket are
    missing; ``Unavailable``: it did not answer, so that nothing is known yet. `message` says it in one line."""

    verdict: Verdict
    message: str
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a registry may be kept there."""
        return self.verdict == "Ok"


def probe(store: ObjectStore, *, racers: int = RACERS, uuid: Callable[[], str] = lambda: str(uuid_module.uuid4())) -> ProbeReport:
    """Tries `store` with a few small objects under ``index/probe/``, which it removes. Raises nothing of the port's."""
    prefix = f"index/probe/{uuid()}/"
    findings: list[Finding] = []
    try:
        _read_your_write(store, prefix, findings)
        _race(store, f"{prefix}race", racers, uuid, findings)
        _refusal(store, f"{prefix}second", findings)
        _listing(store, prefix, findings)
        _if_match(store, f"{prefix}match", findings)
    except Denied as error:
        return ProbeReport("Denied", str(error), tuple(findings))
    except (Unavailable, OutcomeUnknown) as error:
        return ProbeReport("Unavailable", str(error), tuple(findings))
    except StorageError as error:
        return ProbeReport("Refused", f"{store.uri} is no good for a registry: {error}", tuple(findings))
    finally:
        _clean(store, prefix, findings)
    failed = [finding for finding in findings if finding.required and not finding.passed]
    if failed:
        why = "; ".join(finding.detail for finding in failed)
        return ProbeReport("Refused", f"{store.uri} is no good for a registry: {why}", tuple(findings))
    notes = "".join(f"; {finding.detail}" for finding in findings if not finding.passed)
    return ProbeReport("Ok", f"{store.uri} keeps its promises: one of {racers} racers won{notes}", tuple(findings))


def _read_your_write(store: ObjectStore, prefix: str, findings: list[Finding]) -> None:
    key = f"{prefix}echo"
    for body in (b"first", b"second"):
        store.put(key, body)
        try:
            found = store.get(key).data
        except NotFound:
            found = b""
        if found != body:
            findings.append(Finding("ReadYourWrite", False, "it does not give back what was just written"))
            return
    findings.append(Finding("ReadYourWrite", True, "what was written is read back at once"))


def _race(store: ObjectStore, key: str, racers: int, uuid: Callable[[], str], findings: list[Finding]) -> None:
    """All put one key at the same moment. Who was told that it won, and whose bytes are there?"""
    bodies = [uuid().encode() for _ in range(racers)]
    start = threading.Barrier(racers)

    def run(body: bytes) -> bool | None:
        with suppress(threading.BrokenBarrierError):
            start.wait(timeout=10)
        try:
            store.put_if_absent(key, body)
        except OutcomeUnknown:
            return None
        except Precondition:
            return False
        return True

    with ThreadPoolExecutor(racers) as pool:
        outcomes = list(pool.map(run, bodies))
    try:
        there = store.get(key).data
    except NotFound:
        there = b""
    winners = [body for body, won in zip(bodies, outcomes, strict=True) if won]
    unsure = [body for body, won in zip(bodies, outcomes, strict=True) if won is None]
    if len(winners) > 1:
        detail = (
            f"{len(winners)} of {racers} writers that put one key at once were told that they won: "
            "it ignores If-None-Match, or checks it without a lock, so versions would be lost; use another store"
        )
        findings.append(Finding("OneWinner", False, detail))
    elif winners == [there] or (not winners and there in unsure):
        findings.append(Finding("OneWinner", True, f"one of {racers} racers won"))
    elif not there:
        raise Unavailable(f"{store.uri}: of {racers} racing writes none was done: try again")
    else:
        findings.append(Finding("OneWinner", False, "the object is not that of the writer which was told that it won"))


def _refusal(store: ObjectStore, key: str, findings: list[Finding]) -> None:
    name = "SecondRefused"
    with suppress(OutcomeUnknown):
        store.put_if_absent(key, b"first")
    try:
        store.put_if_absent(key, b"second")
    except OutcomeUnknown:
        raise
    except Precondition:
        unchanged = store.get(key).data == b"first"
        detail = "a second put-if-absent is refused" if unchanged else "a refused put-if-absent was written all the same"
        findings.append(Finding(name, unchanged, detail))
        return
    findings.append(Finding(name, False, "a second put-if-absent of one key was accepted: it ignores If-None-Match"))


def _listing(store: ObjectStore, prefix: str, findings: list[Finding]) -> None:
    keys = [f"{prefix}list/{number:03d}" for number in range(3)]
    for key in keys:
        store.put(key, b"-")
    all_of_them = [info.key for info in store.list(f"{prefix}list/")]
    after = [info.key for info in store.list(f"{prefix}list/", start_after=keys[0], limit=1)]
    if all_of_them == keys and after == keys[1:2]:
        findings.append(Finding("List", True, "lists are sorted, complete and begin where asked"))
    else:
        findings.append(Finding("List", False, f"its lists are wrong or late: {all_of_them} and {after} for {keys}"))


def _if_match(store: ObjectStore, key: str, findings: list[Finding]) -> None:
    """The registry does without, so this is only noted."""
    detail = "a write with an outdated If-Match is refused"
    try:
        first = store.put(key, b"first")
        store.put_if_match(key, b"second", first.etag)
        store.put_if_match(key, b"third", first.etag)
    except Precondition:
        with suppress(StorageError):
            passed = store.get(key).data == b"second"
            findings.append(Finding("IfMatch", passed, detail if passed else "If-Match does not work", required=False))
        return
    except StorageError as error:
        findings.append(Finding("IfMatch", False, f"If-Match does not work: {error}", required=False))
        return
    findings.append(Finding("IfMatch", False, "it ignores If-Match", required=False))


def _clean(store: ObjectStore, prefix: str, findings: list[Finding]) -> None:
    try:
        for info in list(store.list(prefix)):
            store.delete(info.key)
    except StorageError as error:
        findings.append(Finding("Delete", False, f"the probe's objects are left behind: {error}", required=False))
    else:
        findings.append(Finding("Delete", True, "objects can be deleted", required=False))
