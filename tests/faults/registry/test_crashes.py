"""A writer that dies, or is told nothing, at each call of the store in turn: trying again gives what an undisturbed run
gives, and leaves the same objects."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import pytest

from slipway.registry import Registry
from slipway.registry.records import FileEntry, VersionDraft
from slipway.storage import OutcomeUnknown, StorageError, Unavailable
from slipway.storage.memory import Call, MemoryStore
from tests.fakes.clock import FakeClock
from tests.fakes.interleave import Crash

MODEL = "ns/m"
Task = Callable[[Registry], object]


def draft(build: str, files: tuple[FileEntry, ...]) -> VersionDraft:
    build_id = "sha256:" + sha256(build.encode()).hexdigest()
    return VersionDraft(model=MODEL, build_id=build_id, reason="test", files=files, format="onnx")


def registry(store: MemoryStore, writer: str = "writer") -> Registry:
    return Registry(store, clock=FakeClock(), uuid=lambda: writer, pause=lambda _seconds: None)


def register(target: Registry) -> object:
    file = target.blobs.put_bytes(b"weights", path="model.onnx")
    return target.register(draft("new", (file,))).model_dump(exclude={"writer"})


def move(target: Registry) -> object:
    return target.move_alias(MODEL, "champion", 2, by="me", reason="better").model_dump(exclude={"writer", "changed"})


def report(target: Registry) -> object:
    target.blobs.put_bytes(b"log", path="log")
    target.write_request("sha256:" + "1" * 64, 1, FileEntry(path="x", digest="sha256:" + "2" * 64, size=1))
    return target.write_result("sha256:" + "1" * 64, 1, FileEntry(path="y", digest="sha256:" + "2" * 64, size=1))


def pin(target: Registry) -> object:
    return target.pin("ModelDeployment", "ns", "web", versions=["ns/m:1"])


def world(versions: int) -> MemoryStore:
    store = MemoryStore()
    target = registry(store, "before")
    file = target.blobs.put_bytes(b"weights", path="model.onnx")
    for number in range(versions):
        target.register(draft(f"before {number}", (file,)))
        target.move_alias(MODEL, "champion", 1 + number % 2, by="before")
    return store


def lost(call: Call) -> Exception:
    return OutcomeUnknown("time-out") if call.operation.startswith("put_if") else Unavailable("time-out")


FAULTS: dict[str, tuple[str, Callable[[Call], BaseException]]] = {
    "crash before": ("before", lambda _call: Crash()),
    "crash after": ("after", lambda _call: Crash()),
    "lose request": ("before", lost),
    "lose answer": ("after", lost),
}

# 15 versions: the hint is behind, and the next write renews it.
CASES = [
    (task, versions) for task in (register, move, report, pin) for versions in (0, 1, 2, 15) if task is not move or versions > 1
]


def contents(store: MemoryStore) -> dict[str, bytes]:
    """What is durable: hints are not, and writers' names differ."""
    found = {key: data.replace(b'"again"', b'"writer"') for key, data in store.snapshot().items()}
    return {key: data for key, data in found.items() if not key.startswith(("index/last/", "index/moved/"))}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("task", "versions"), CASES, ids=[f"{task.__name__}-{versions}" for task, versions in CASES])
def test_trying_again_after_a_fault_at_any_call_ends_as_if_there_was_none(task: Task, versions: int, fault: str) -> None:
    undisturbed = world(versions)
    before = len(undisturbed.calls)
    wanted = task(registry(undisturbed))
    points = [call.number for call in undisturbed.calls[before:]]
    assert points
    when, error = FAULTS[fault]
    for point in points:
        store = world(versions)

        def strike(call: Call, point: int = point) -> None:
            if call.number == point:
                raise error(call)

        setattr(store, when, strike)
        try:
            first = task(registry(store))
        except (Crash, StorageError):
            first = None
        store.heal()
        again = task(registry(store, "again"))
        assert again == wanted, f"call {point} of {points}"
        assert first in (None, wanted)
        assert contents(store) == contents(undisturbed), f"call {point} of {points}"


WEIGHTS = FileEntry(path="model.onnx", digest="sha256:" + sha256(b"weights").hexdigest(), size=7)


@pytest.mark.parametrize("versions", [0, 3, 15])
def test_writers_that_each_die_at_another_call_leave_room_for_the_next(versions: int) -> None:
    """A long row of crashes, at every call in turn, in one store: each crashed build is registered once, no gap."""
    store = world(versions)
    died = 0
    builds = [(when, point) for when in ("before", "after") for point in range(1, 6)]
    for when, point in builds:
        deadly = len(store.calls) + point

        def strike(call: Call, deadly: int = deadly) -> None:
            if call.number == deadly:
                raise Crash

        setattr(store, when, strike)
        try:
            registry(store, f"dies {when} {point}").register(draft(f"dying {when} {point}", (WEIGHTS,)))
        except Crash:
            died += 1
        store.heal()
    assert died >= 7
    for when, point in builds:
        registry(store).register(draft(f"dying {when} {point}", (WEIGHTS,)))
    records = registry(store).versions(MODEL, limit=1000)
    assert [record.version for record in records] == list(range(versions + len(builds), 0, -1))
    assert len({record.build_id for record in records}) == versions + len(builds)


@pytest.mark.parametrize("lag", [1, 3, 10, 1000])
def test_stale_lists_cost_time_but_no_promise(lag: int) -> None:
    store = world(12)
    store.lag = lambda _call: lag
    target = registry(store)
    file = target.blobs.put_bytes(b"weights", path="model.onnx")
    numbers = [target.register(draft(f"new {number}", (file,))).version for number in range(12)]
    assert numbers == list(range(13, 25))
    again = [target.register(draft(f"new {number}", (file,))).version for number in range(12)]
    assert again == numbers
    for version in (5, 6, 7):
        target.move_alias(MODEL, "champion", version, by="me")
    store.heal()
    history = target.history(MODEL, "champion")
    assert [move.number for move in history] == list(range(len(history), 0, -1))
    assert [move.version for move in history[:3]] == [7, 6, 5]


def test_a_store_that_only_refuses_is_given_up_with_words() -> None:
    store = world(1)

    def refuse(call: Call) -> None:
        if call.operation == "put_if_absent":
            raise OutcomeUnknown("503")

    store.before = refuse
    with pytest.raises(Unavailable, match="conditional writes were refused, yet nothing is there"):
        register(registry(store))
    store.heal()
    register(registry(store))
    assert registry(store).latest(MODEL) == 2


def test_a_reader_without_write_permission_can_do_all_that_reads() -> None:
    store = world(15)

    def read_only(call: Call) -> None:
        assert not call.writes

    store.before = read_only
    target = registry(store)
    assert target.latest(MODEL) == 15
    assert target.resolve(f"{MODEL}@champion").version == 1
    assert len(target.versions(MODEL)) == 15
    assert target.find_build(MODEL, draft("before 7", ()).build_id) is not None
    assert target.history(MODEL, "champion")
    assert target.verify(target.get(MODEL, 3)).ok
    assert target.models()


def test_a_hint_that_cannot_be_written_stops_nobody() -> None:
    store = world(7)

    def no_index(call: Call) -> None:
        if call.operation == "put" and call.key.startswith("index/"):
            raise Unavailable("index is read-only")

    store.before = no_index
    assert [register_one(store, number) for number in range(3)] == [8, 9, 10]


def register_one(store: MemoryStore, number: int) -> int:
    return registry(store).register(draft(f"one {number}", (WEIGHTS,))).version
