"""The end of an alias's history, read instead of listed: right whatever was remembered."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import pytest

from slipway.registry import Registry
from slipway.registry.records import FileEntry, VersionDraft
from slipway.registry.sequence import TRUSTED_FOR
from slipway.storage.memory import MemoryStore
from tests.fakes.clock import FakeClock

FILE = FileEntry(path="m", digest="sha256:" + "0" * 64, size=1)


class Pair:
    """A reader that has looked once, and a writer."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryStore(), FakeClock()
        self.writer, self.reader = (
            Registry(self.store, clock=self.clock, monotonic=self.clock.monotonic, pause=self.clock.advance) for _ in range(2)
        )
        for build in range(3):
            build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
            self.writer.register(
                VersionDraft(model="ns/m", build_id=build_id, reason="t", files=(FILE,), format="onnx"), check=False
            )
        self.moved = 0
        self.move(1)
        assert self.asked()[0] == 1

    def move(self, times: int) -> None:
        for _ in range(times):
            self.writer.move_alias("ns/m", "champion", self.moved % 3 + 1, by="x")
            self.moved += 1

    def asked(self) -> tuple[int, Counter[str]]:
        """What the reader says, and the requests that it took."""
        before = len(self.store.calls)
        version = self.reader.resolve("ns/m@champion").version
        return version, Counter(call.operation for call in self.store.calls[before:])


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.mark.parametrize("moves", [0, 1, 2, 3, 9, 40])
def test_a_reader_sees_every_move_at_once(pair: Pair, moves: int) -> None:
    for _ in range(3):
        pair.move(moves)
        assert pair.asked()[0] == (pair.moved - 1) % 3 + 1


def test_a_moved_alias_is_resolved_in_two_reads_that_go_out_together(pair: Pair) -> None:
    pair.move(3)
    for _ in range(3):
        pair.asked()  # all three versions were read once
        pair.move(1)
    version, requests = pair.asked()
    assert version == (pair.moved - 1) % 3 + 1
    assert requests == {"get": 2}
    assert pair.asked()[1] == {"get": 2}


@pytest.mark.parametrize("left", [0, 1])
def test_a_bucket_brought_back_from_a_copy_is_seen_after_a_while(pair: Pair, left: int) -> None:
    prefix = "models/ns/m/aliases/champion/"
    pair.move(1)
    pair.asked()
    for number in range(left + 1, pair.moved + 1):
        pair.store.delete(f"{prefix}{number:012d}.json")
    pair.clock.advance(TRUSTED_FOR)
    if left:
        assert pair.asked()[0] == 1
    else:
        assert pair.reader.alias("ns/m", "champion") is None


def test_a_writer_never_builds_on_an_entry_that_is_gone(pair: Pair) -> None:
    pair.move(2)
    pair.reader.alias("ns/m", "champion")
    pair.store.delete(f"models/ns/m/aliases/champion/{3:012d}.json")
    move = pair.reader.move_alias("ns/m", "champion", 1, by="x")
    assert (move.number, move.previous) == (3, 2)
