"""The start-up probe against stores that break one promise each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from slipway.storage import Denied, NotFound, ObjectInfo, OutcomeUnknown, Precondition, Stored, Unavailable
from slipway.storage.memory import Call, MemoryStore
from slipway.storage.probe import probe


class IgnoresTheHeader(MemoryStore):
    """As Garage: every conditional write is done."""

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        return self.put(key, data)

    def put_if_match(self, key: str, data: bytes, etag: str, *, content_type: str = "application/json") -> ObjectInfo:
        return self.put(key, data)


class ChecksWithoutALock(MemoryStore):
    """As some did in 2026: refuses a later writer, but lets racers win together."""

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        if key.endswith("race"):
            return self.put(key, data)
        return super().put_if_absent(key, data)


class RefusesYetWrites(MemoryStore):
    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        try:
            return super().put_if_absent(key, data)
        except Precondition:
            if not key.endswith("race"):
                self.put(key, data)
            raise


class ReadsOldThings(MemoryStore):
    def get(self, key: str, *, if_match: str | None = None) -> Stored:
        stored = super().get(key, if_match=if_match)
        return Stored(stored.info, b"first")


class ListsLate(MemoryStore):
    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        return iter([*super().list(prefix, start_after=start_after, limit=limit)][:-1])


@pytest.mark.parametrize(
    ("kind", "finding", "words"),
    [
        (IgnoresTheHeader, "OneWinner", "16 of 16 writers .* ignores If-None-Match"),
        (ChecksWithoutALock, "OneWinner", "without a lock"),
        (RefusesYetWrites, "SecondRefused", "was written all the same"),
        (ReadsOldThings, "ReadYourWrite", "does not give back"),
        (ListsLate, "List", "wrong or late"),
    ],
)
def test_a_store_that_breaks_a_promise_is_refused_with_the_reason(
    kind: Callable[[], MemoryStore], finding: str, words: str
) -> None:
    report = probe(kind())
    assert (report.ok, report.verdict) == (False, "Refused")
    assert finding in {one.name for one in report.findings if not one.passed}
    import re

    assert re.search(words, report.message), report.message


def test_a_store_without_if_match_is_good_enough() -> None:
    class NoIfMatch(MemoryStore):
        def put_if_match(self, key: str, data: bytes, etag: str, *, content_type: str = "application/json") -> ObjectInfo:
            return self.put(key, data)

    report = probe(NoIfMatch())
    assert report.ok
    assert "it ignores If-Match" in report.message


@pytest.mark.parametrize(
    ("error", "verdict"),
    [(Denied("cannot write: lack s3:PutObject"), "Denied"), (Unavailable("down"), "Unavailable")],
)
def test_an_error_of_the_store_is_told_apart_from_a_bad_store(error: Exception, verdict: str) -> None:
    store = MemoryStore()

    def fail(call: Call) -> None:
        if call.operation == "put":
            raise error

    store.before = fail
    report = probe(store)
    assert (report.verdict, report.message) == (verdict, str(error))


def test_a_winner_that_was_not_told_is_still_one_winner() -> None:
    store = MemoryStore()

    def lose_the_answer(call: Call) -> None:
        if call.operation == "put_if_absent" and call.key.endswith("race"):
            raise OutcomeUnknown("timed out")

    store.after = lose_the_answer
    assert probe(store).ok


def test_without_the_right_to_delete_the_probe_passes_and_says_what_it_left() -> None:
    store = MemoryStore()

    def fail(call: Call) -> None:
        if call.operation == "delete":
            raise Denied("lack s3:DeleteObject")

    store.before = fail
    report = probe(store)
    assert report.ok
    assert any("s3:DeleteObject" in one.detail for one in report.findings)


def test_probes_of_several_operators_do_not_disturb_each_other() -> None:
    store = MemoryStore()
    assert all(probe(store).ok for _ in range(3))
    with pytest.raises(NotFound):
        store.get("index/probe/race")
