"""The collector's lease, on a clock that the test moves: renewed while its holder works, taken over soon after it died."""

from __future__ import annotations

from hashlib import sha256

import pytest

from slipway.registry import LostRace, Policy, Registry
from slipway.registry.garbage.lease import LEASE, Lease
from slipway.registry.garbage.state import TERMS, term_key
from slipway.registry.records import VersionDraft
from slipway.storage.memory import Call, MemoryStore
from tests.fakes.clock import FakeClock

DAY = 24 * 3600.0
LASTS = LEASE.total_seconds()


class Killed(BaseException):
    """The process ended here: nothing after it is done."""


class Place:
    """A registry with one version, and one blob that was condemned a day ago."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.registry = self.open()
        file = self.registry.blobs.put_bytes(b"kept", path="m")
        build = "sha256:" + sha256(b"build").hexdigest()
        self.registry.register(VersionDraft(model="ns/m", build_id=build, reason="t", files=(file,), format="onnx"))
        self.orphan = self.registry.blobs.put_bytes(b"orphan").digest
        self.clock.advance(2 * DAY)
        assert self.registry.collect(Policy()).waiting == 1
        self.clock.advance(2 * DAY)

    def open(self) -> Registry:
        return Registry(self.store, clock=self.clock, pause=self.clock.advance, monotonic=self.clock.monotonic)

    def lease(self, run: str) -> Lease:
        return Lease(self.store, run, clock=self.clock, monotonic=self.clock.monotonic, pause=self.clock.advance)


@pytest.fixture
def place() -> Place:
    return Place()


def die(place: Place, at: str) -> None:
    """A collection that ends for good at its first write whose key begins with `at`."""
    dead = []

    def kill(call: Call) -> None:
        if dead or (call.writes and call.key.startswith(at)):
            dead.append(call)
            raise Killed

    place.store.before = kill
    with pytest.raises(Killed):
        place.open().collect(Policy())
    place.store.heal()


def test_a_collection_that_died_is_taken_over_when_its_lease_is_over(place: Place) -> None:
    die(place, at="blobs/")
    place.clock.advance(LASTS - 1)
    with pytest.raises(LostRace, match="another collection is running"):
        place.open().collect(Policy())
    place.clock.advance(1)
    assert [item.name for item in place.open().collect(Policy()).items] == [place.orphan]


def test_a_writer_that_a_dead_collector_holds_up_waits_no_longer_than_the_lease(place: Place) -> None:
    die(place, at="blobs/")  # it had claimed the blob, and nobody knows whether it deleted it
    place.clock.advance(LASTS)
    place.open().collect(Policy())
    writer = place.open()
    writer.blobs.put_bytes(b"orphan")
    assert writer.blobs.exists(place.orphan)
    place.open().collect(Policy())
    assert writer.blobs.exists(place.orphan)


def test_a_long_collection_keeps_its_lease(place: Place) -> None:
    """Each of its requests takes 12 s, and all of it far longer than the lease; others ask all the time."""
    refused = []
    for number in range(6):
        place.store.put(f"models/ns/m{number}/retired/{1:012d}.json", b"{}")

    def slow(call: Call) -> None:
        before, place.store.before = place.store.before, lambda _call: None
        place.clock.advance(12)
        if call.key.startswith(("models/", "blobs/", "attempts/", "pins/")):
            with pytest.raises(LostRace):
                place.lease("another").take()
            refused.append(call)
        place.store.before = before

    began = place.clock.monotonic()
    place.store.before = slow
    found = place.open().collect(Policy())
    place.store.heal()
    assert [item.name for item in found.items] == [place.orphan]
    assert place.clock.monotonic() - began > LASTS
    assert len(refused) > 5


def test_a_collection_that_stood_still_deletes_nothing(place: Place) -> None:
    def suspended(call: Call) -> None:
        if call.operation == "list" and call.key == "attempts/":
            place.clock.advance(LASTS / 2)

    place.store.before = suspended
    with pytest.raises(LostRace, match="stood still for 150 s"):
        place.open().collect(Policy())
    assert place.registry.blobs.exists(place.orphan)


def test_a_collection_that_ended_leaves_the_next_one_free(place: Place) -> None:
    for _ in range(3):
        place.open().collect(Policy())
    place.store.put("pins/broken/ns/x.json", b"no pin")
    with pytest.raises(Exception, match="is not JSON"):
        place.open().collect(Policy())
    place.store.delete("pins/broken/ns/x.json")
    place.open().collect(Policy())


def test_of_two_that_find_a_dead_one_only_one_takes_over(place: Place) -> None:
    place.lease("dead").take()
    place.clock.advance(LASTS)
    first, second = place.lease("first"), place.lease("second")

    def overtaken(call: Call) -> None:
        if call.operation == "put_if_absent" and call.key.startswith(TERMS):
            place.store.heal()
            second.take()

    place.store.before = overtaken
    with pytest.raises(LostRace, match="has just begun"):
        first.take()
    second.hold()


def test_a_holder_that_was_followed_ends_and_does_not_disturb_its_successor(place: Place) -> None:
    late, successor = place.lease("late"), place.lease("successor")
    late.take()
    place.clock.advance(70)  # by its own clock; the store's was set an hour on meanwhile
    place.store.put(term_key(3), place.lease("x")._term())
    with pytest.raises(LostRace, match="another collection has begun"):
        late.hold()
    late.release()
    with pytest.raises(LostRace, match="another collection is running"):
        successor.take()


def test_old_terms_are_swept(place: Place) -> None:
    for _ in range(10):
        place.clock.advance(DAY)
        place.open().collect(Policy())
    assert len(list(place.store.list(TERMS))) == 8
