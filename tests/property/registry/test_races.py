"""Any interleaving of any writers, with crashes and lost answers anywhere: versions and histories keep their promises."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.registry import LostRace, Registry
from slipway.registry.records import FileEntry, VersionDraft
from slipway.storage import ObjectStore, StorageError
from slipway.storage.memory import MemoryStore
from tests.fakes.interleave import ACTIONS, Action, Crash, Worker, interleave

MODEL = "ns/m"
FILE = FileEntry(path="model.onnx", digest="sha256:" + "0" * 64, size=1)
Schedule = list[tuple[int, Action]]

# Most steps just go: a schedule in which everything crashes at once shows little.
steps = st.tuples(st.integers(0, 5), st.sampled_from((*("go",) * 8, *ACTIONS)))
schedules = st.lists(steps, max_size=60)


def draft(build: int) -> VersionDraft:
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return VersionDraft(model=MODEL, build_id=build_id, reason="test", files=(FILE,), format="onnx")


def registry(store: ObjectStore, writer: str = "nobody") -> Registry:
    return Registry(store, uuid=lambda: writer, pause=lambda _seconds: None)


def writer(name: str, build: int) -> Worker:
    return Worker(name, lambda store: registry(store, name).register(draft(build), check=False))


@given(builds=st.lists(st.integers(0, 3), min_size=2, max_size=4), schedule=schedules, before=st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_versions_have_no_gap_no_duplicate_and_one_number_per_build(builds: list[int], schedule: Schedule, before: int) -> None:
    shared = MemoryStore()
    for number in range(before):
        registry(shared).register(draft(100 + number), check=False)
    workers = [writer(f"writer {number}", build) for number, build in enumerate(builds)]
    interleave(shared, workers, schedule)

    for worker in workers:
        assert worker.error is None or isinstance(worker.error, Crash | StorageError), worker.error
    # Whoever failed tries again, as a new process; now nothing disturbs it.
    final = {build: registry(shared).register(draft(build), check=False) for build in set(builds)}
    records = registry(shared).versions(MODEL, limit=1000)
    assert [record.version for record in records] == list(range(before + len(final), 0, -1))
    assert len({record.build_id for record in records}) == len(records)
    for worker, build in zip(workers, builds, strict=True):
        if worker.error is None:
            assert worker.result == final[build], "what a writer was told is what there is"
    assert_in_real_time_order([worker for worker in workers if worker.error is None])
    assert all(registry(shared).find_build(MODEL, record.build_id) == record for record in records)


def assert_in_real_time_order(workers: list[Worker]) -> None:
    """Linearizability of a counter: of two that each claimed a number, who began after the other had ended has the higher
    one. (A writer that found its build registered already says nothing about time.)"""
    claimed = [worker for worker in workers if worker.result.writer == worker.name]
    for first in claimed:
        for second in claimed:
            if first is not second and first.ended <= second.began:
                assert first.result.version < second.result.version


@given(
    moves=st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["any", 1, 2, None])), min_size=2, max_size=4),
    schedule=schedules,
    before=st.lists(st.integers(1, 3), max_size=9),
)
@settings(max_examples=150, deadline=None)
def test_a_history_is_one_line_and_holds_what_was_confirmed(
    moves: list[tuple[int, int | str | None]], schedule: Schedule, before: list[int]
) -> None:
    shared = MemoryStore()
    for build in range(3):
        registry(shared).register(draft(build), check=False)
    for version in before:
        registry(shared).move_alias(MODEL, "champion", version, by="before")

    def mover(number: int, version: int, expected: int | str | None) -> Worker:
        more = {} if expected == "any" else {"expected": expected}
        name = str(number)
        return Worker(name, lambda store: registry(store, name).move_alias(MODEL, "champion", version, by=name, **more))  # type: ignore[arg-type]

    workers = [mover(number, version, expected) for number, (version, expected) in enumerate(moves)]
    interleave(shared, workers, schedule)

    history = registry(shared).history(MODEL, "champion")[::-1]
    assert [move.number for move in history] == list(range(1, len(history) + 1))
    assert not history or history[0].previous is None
    assert all(later.previous == earlier.version and later.at >= earlier.at for earlier, later in pairwise(history))
    by_hand = [move for move in history if move.by != "before"]
    assert len({move.by for move in by_hand}) == len(by_hand), "no move is done twice"
    for number, (worker, (version, expected)) in enumerate(zip(workers, moves, strict=True)):
        mine = [move for move in history if move.by == str(number)]
        if worker.error is None and worker.result.changed:
            assert mine == [worker.result]
            assert mine[0].version == version
            assert expected == "any" or mine[0].previous == expected
        elif worker.error is None or isinstance(worker.error, LostRace):
            assert mine == []
        else:
            assert isinstance(worker.error, Crash | StorageError), worker.error
