"""What a call costs: requests to the store, counted. They are what a registry on S3 spends its time on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

import pytest

from slipway.registry import Registry
from slipway.registry.records import AliasMove, FileEntry, VersionDraft
from slipway.registry.sequence import HINT_EVERY
from slipway.storage.memory import MemoryStore
from tests.fakes.clock import FakeClock

MODEL = "ns/m"


def draft(build: object, files: tuple[FileEntry, ...]) -> VersionDraft:
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return VersionDraft(model=MODEL, build_id=build_id, reason="test", files=files, format="onnx")


class Counted:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.registry = Registry(self.store, clock=FakeClock())
        self.file = self.registry.blobs.put_bytes(b"weights", path="model.onnx")

    @contextmanager
    def count(self) -> Iterator[Counter[str]]:
        """As a process that has just begun, which knows no end of any history yet."""
        self.registry._ends.clear()
        before, found = len(self.store.calls), Counter[str]()
        yield found
        found.update(call.operation for call in self.store.calls[before:])

    def grow(self, versions: int) -> None:
        """As if so many versions and moves had been made, without making each one."""
        first = self.registry.register(draft("first", (self.file,)))
        now = FakeClock()()
        for number in range(2, versions + 1):
            record = first.model_copy(update={"version": number, "build_id": draft(number, (self.file,)).build_id})
            self.store.put(f"models/{MODEL}/versions/{number:012d}.json", record.to_json())
        for number in range(1, versions + 1):
            move = AliasMove(
                number=number,
                model=MODEL,
                alias="champion",
                version=number,
                previous=number - 1 or None,
                at=now,
                by="x",
                writer="w",
            )
            self.store.put(f"models/{MODEL}/aliases/champion/{number:012d}.json", move.to_json())
        self.registry.register(draft("last", (self.file,)))  # writes the hints
        self.registry.move_alias(MODEL, "champion", versions + 1, by="x")


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_storing_and_registering_a_small_model_is_six_requests(counted: Counted) -> None:
    with counted.count() as calls:
        file = counted.registry.blobs.put_bytes(b"other weights", path="model.onnx")
        counted.registry.register(draft("a", (file,)), check=False)
    assert calls == {"put": 1, "get": 1, "list": 1, "put_if_absent": 2}
    with counted.count() as calls:
        counted.registry.register(draft("b", (file,)))
    assert calls == {"head": 1, "get": 1, "list": 1, "put_if_absent": 2}


def test_registering_again_is_cheap(counted: Counted) -> None:
    for build in range(20):
        counted.registry.register(draft(build, (counted.file,)))
    with counted.count() as calls:
        counted.registry.register(draft(3, (counted.file,)), check=False)
    assert calls.total() <= 20 + 4
    with counted.count() as calls:
        counted.registry.find_build(MODEL, draft(3, ()).build_id)
    assert calls == {"get": 2}


def test_a_build_that_was_claimed_late_is_found_at_once(counted: Counted) -> None:
    """Its intent was left when there were few versions, and claimed when there were many."""

    class Crash(BaseException):
        pass

    def crash_before_the_claim(call: object) -> None:
        if "/versions/" in call.key and call.operation == "put_if_absent":  # type: ignore[attr-defined]
            raise Crash

    counted.store.before = crash_before_the_claim
    with pytest.raises(Crash):
        counted.registry.register(draft("late", (counted.file,)))
    counted.store.heal()
    for build in range(40):
        counted.registry.register(draft(build, (counted.file,)))
    assert counted.registry.find_build(MODEL, draft("late", ()).build_id) is None
    assert counted.registry.register(draft("late", (counted.file,))).version == 41
    with counted.count() as calls:
        found = counted.registry.find_build(MODEL, draft("late", ()).build_id)
    assert found is not None
    assert found.version == 41
    assert calls == {"get": 2}


def test_the_hint_is_written_now_and_then(counted: Counted) -> None:
    with counted.count() as calls:
        for build in range(4 * HINT_EVERY):
            counted.registry.register(draft(build, (counted.file,)), check=False)
    assert calls["put"] == 4
    assert calls.total() <= 4 * HINT_EVERY * 3 + 4 + 2


Question = Callable[[Registry], object]
QUESTIONS: dict[str, Question] = {
    "latest": lambda registry: registry.latest(MODEL),
    "resolve alias": lambda registry: registry.resolve(f"{MODEL}@champion"),
    "resolve name": lambda registry: registry.resolve(MODEL),
    "resolve version": lambda registry: registry.resolve(f"{MODEL}:2"),
    "page": lambda registry: registry.versions(MODEL, limit=5),
    "move": lambda registry: registry.move_alias(MODEL, "champion", 2, by="x"),
    "register": lambda registry: registry.register(draft("one more", (FileEntry(path="m", digest="sha256:" + "0" * 64, size=1),)), check=False),
    "history page": lambda registry: registry.history(MODEL, "champion", limit=5),
}  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_cost_the_same_over_ten_versions_and_over_three_thousand(question: str) -> None:
    costs = []
    for versions in (9, 3000):
        counted = Counted()
        counted.grow(versions)
        assert counted.registry.latest(MODEL) == versions + 1
        with counted.count() as calls:
            QUESTIONS[question](counted.registry)
        costs.append(calls)
    assert costs[0] == costs[1]
    assert costs[0].total() <= 8  # of which three reads go out at once, and two


def test_without_a_hint_the_end_is_found_in_few_steps() -> None:
    counted = Counted()
    counted.grow(3000)
    counted.store.delete(f"index/last/versions/{MODEL}/last.json")
    with counted.count() as calls:
        assert counted.registry.latest(MODEL) == 3001
    assert calls["list"] <= 12
    assert calls.total() <= 13


@pytest.mark.parametrize("versions", [1, 999, 1000, 1001, 1999, 2000, 2001, 3001])
def test_without_a_hint_the_end_is_found_wherever_it_is(versions: int) -> None:
    store = MemoryStore()
    for number in range(1, versions + 1):
        store.put(f"models/{MODEL}/versions/{number:012d}.json", b"{}")
    assert Registry(store).latest(MODEL) == versions


def test_the_alias_of_a_moment_takes_a_bisection() -> None:
    counted = Counted()
    counted.grow(1000)
    with counted.count() as calls:
        counted.registry.history(MODEL, "champion", at=FakeClock()(), limit=1)
    assert calls.total() <= 15


def test_foreign_files_beside_versions_are_passed_over(counted: Counted) -> None:
    counted.registry.register(draft("a", (counted.file,)))
    for name in (".DS_Store", "readme.txt", "000000000009.json.bak", "9.json", "abcdefghijkl.json"):
        counted.store.put(f"models/{MODEL}/versions/{name}", b"?")
    assert counted.registry.latest(MODEL) == 1
    assert counted.registry.register(draft("b", (counted.file,))).version == 2
