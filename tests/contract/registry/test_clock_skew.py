"""Writers and collectors whose clocks are wrong by more than a year: numbers, histories and ages do not follow them."""

from __future__ import annotations

import itertools
from datetime import timedelta
from hashlib import sha256

import pytest

from slipway.registry import Policy, Registry
from slipway.registry.blobs import SMALL
from slipway.registry.records import VersionDraft, VersionRecord
from slipway.storage.memory import MemoryStore
from tests.fakes.clock import FakeClock

MODEL = "ns/m"
SKEWS = [timedelta(days=-400), timedelta(days=400)]


class World:
    """One store with a clock that is right, and registries with clocks that are not."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)

    def registry(self, skew: timedelta = timedelta(0)) -> Registry:
        return Registry(self.store, clock=lambda: self.clock() + skew, monotonic=self.clock.monotonic, pause=self.clock.advance)

    def hours(self, count: float) -> None:
        self.clock.advance(count * 3600)


def large(content: int) -> bytes:
    """More than is written again without a look."""
    return f"{content:08d}".encode() * (SMALL // 4)


def register(registry: Registry, content: int) -> VersionRecord:
    file = registry.blobs.put_bytes(large(content), path="m")
    build_id = "sha256:" + sha256(str(content).encode()).hexdigest()
    return registry.register(VersionDraft(model=MODEL, build_id=build_id, reason="t", files=(file,), format="onnx"))


def test_versions_and_moves_are_in_the_order_in_which_they_were_made() -> None:
    world = World()
    for number, skew in zip(range(1, 7), itertools.cycle(SKEWS), strict=False):
        writer = world.registry(skew)
        assert register(writer, number).version == number
        writer.move_alias(MODEL, "champion", number, by="x")
        world.hours(1)
    history = world.registry().history(MODEL, "champion")
    assert [move.version for move in history] == [6, 5, 4, 3, 2, 1]
    assert [move.at for move in history] == sorted((move.at for move in history), reverse=True)
    assert world.registry().resolve(f"{MODEL}@champion").version == 6
    assert world.registry().latest(MODEL) == 6


@pytest.mark.parametrize("skew", SKEWS, ids=["behind", "ahead"])
def test_a_collector_goes_by_the_clock_of_the_store(skew: timedelta) -> None:
    world = World()
    kept = register(world.registry(), 1)
    orphan = world.registry().blobs.put_bytes(large(2)).digest
    world.hours(1)
    collector = world.registry(skew)
    assert collector.collect(Policy()).young == 1
    assert collector.collect(Policy()).items == (), "nothing is old yet, whatever the collector's clock says"
    for _ in range(3):
        world.hours(25)
        collector.collect(Policy())
    assert not collector.blobs.exists(orphan)
    assert collector.verify(kept).ok


@pytest.mark.parametrize("skew", SKEWS, ids=["behind", "ahead"])
@pytest.mark.parametrize("age", [0.5, 13, 20, 23.9, 26, 47, 52])
def test_what_a_writer_is_about_to_refer_to_stays_whatever_its_clock_says(skew: timedelta, age: float) -> None:
    """The bytes lie there already, unreferenced and of any age, condemned or not; the writer takes hours to its record."""
    world = World()
    register(world.registry(), 1)
    world.registry().blobs.put_bytes(large(2))
    passed = 0.0
    while passed + 5 < age:
        world.hours(5)
        passed += 5
        world.registry().collect(Policy())
    world.hours(age - passed)
    writer = world.registry(skew)
    file = writer.blobs.put_bytes(large(2), path="m")
    for _ in range(3):
        world.hours(4)
        world.registry(-skew).collect(Policy())
    assert writer.blobs.exists(file.digest)
    record = register(writer, 2)
    for _ in range(4):
        world.hours(25)
        world.registry().collect(Policy())
    assert world.registry().verify(record).ok
