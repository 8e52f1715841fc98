"""The registry over each kind of store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from slipway.registry import (
    InvalidName,
    LostRace,
    MissingBlob,
    ModelName,
    Registry,
    RegistryError,
    UnknownAlias,
    UnknownModel,
    UnknownVersion,
)
from slipway.registry.records import AttemptResult, FileEntry, VersionDraft
from slipway.storage import ObjectStore
from tests.fakes.clock import FakeClock

MODEL = "team/breast-cancer"


def build_id(text: object) -> str:
    return "sha256:" + sha256(str(text).encode()).hexdigest()


class World:
    """A registry, its clock, and short words for what tests do with it."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.clock = FakeClock()
        self.registry = Registry(store, clock=self.clock)
        self.file = self.registry.blobs.put_bytes(b"weights", path="model.onnx")

    def draft(self, build: object, model: str = MODEL, **changes: object) -> VersionDraft:
        fields = {"model": model, "build_id": build_id(build), "reason": "SpecChanged", "files": (self.file,), "format": "onnx"}
        return VersionDraft.model_validate({**fields, **changes})

    def register(self, build: object, model: str = MODEL, **changes: object) -> int:
        return self.registry.register(self.draft(build, model, **changes)).version

    def move(self, version: int | None, alias: str = "champion", **more: object) -> int | None:
        self.clock.advance(60)
        return self.registry.move_alias(MODEL, alias, version, by="someone", **more).version  # type: ignore[arg-type]


@pytest.fixture
def world(store: ObjectStore) -> World:
    return World(store)


def test_versions_count_from_one_and_keep_what_was_registered(world: World) -> None:
    assert [world.register(build) for build in "abc"] == [1, 2, 3]
    record = world.registry.get(MODEL, 2)
    assert (record.version, record.build_id, record.files) == (2, build_id("b"), (world.file,))
    assert record.created_at == world.clock()
    assert world.registry.latest(MODEL) == 3


def test_models_count_each_for_themselves(world: World) -> None:
    assert [world.register("a", model) for model in (MODEL, "team/other", "else/breast-cancer")] == [1, 1, 1]
    assert [str(name) for name in world.registry.models()] == ["else/breast-cancer", "team/breast-cancer", "team/other"]
    assert world.registry.models("team") == [ModelName("team", "breast-cancer"), ModelName("team", "other")]
    assert world.registry.models("nobody") == []


def test_one_build_identity_has_one_version(world: World) -> None:
    first = world.registry.register(world.draft("a"))
    world.register("b")
    again = world.registry.register(world.draft("a", metrics={"roc_auc": 0.5}))
    assert again == first
    assert world.registry.latest(MODEL) == 2
    assert world.registry.find_build(MODEL, build_id("a")) == first
    assert world.registry.find_build(MODEL, build_id("never")) is None
    assert world.registry.find_build("team/other", build_id("a")) is None


def test_racing_writers_get_all_numbers_without_a_gap(world: World) -> None:
    start = threading.Barrier(16)

    def run(worker: int) -> list[int]:
        registry = Registry(world.store)
        start.wait(timeout=30)
        return [registry.register(world.draft((worker, n)), check=False).version for n in range(3)]

    with ThreadPoolExecutor(16) as pool:
        taken = [version for versions in pool.map(run, range(16)) for version in versions]
    assert sorted(taken) == list(range(1, 49))
    assert world.registry.latest(MODEL) == 48
    ids = [record.build_id for record in world.registry.versions(MODEL)]
    assert len(set(ids)) == 48


def test_racing_writers_of_one_build_get_one_version(world: World) -> None:
    world.register("before")
    start = threading.Barrier(12)

    def run(worker: int) -> tuple[int, str]:
        registry = Registry(world.store)
        start.wait(timeout=30)
        if worker % 3 == 0:
            return registry.register(world.draft(("other", worker)), check=False).version, "other"
        return registry.register(world.draft("same", metrics={"worker": worker}), check=False).version, "same"

    with ThreadPoolExecutor(12) as pool:
        outcomes = list(pool.map(run, range(12)))
    assert len({version for version, kind in outcomes if kind == "same"}) == 1
    assert world.registry.latest(MODEL) == 1 + 4 + 1
    same = [record.version for record in world.registry.versions(MODEL) if record.build_id == build_id("same")]
    assert same == [next(version for version, kind in outcomes if kind == "same")]


def test_pages_go_from_the_newest_to_the_first(world: World) -> None:
    for build in range(23):
        world.register(build)
    numbers = []
    before = None
    while page := [record.version for record in world.registry.versions(MODEL, before=before, limit=10)]:
        numbers += page
        before = page[-1]
    assert numbers == list(range(23, 0, -1))
    assert [r.version for r in world.registry.versions(MODEL, before=1000, limit=2)] == [23, 22]
    assert world.registry.versions("team/nothing") == []
    assert world.registry.versions(MODEL, limit=0) == []


def test_a_reference_is_resolved_by_version_alias_and_name(world: World) -> None:
    for build in "abc":
        world.register(build)
    world.move(2)
    resolved = [
        world.registry.resolve(ref, "team").version
        for ref in ("breast-cancer:1", "breast-cancer@champion", "breast-cancer", "breast-cancer@latest")
    ]
    assert resolved == [1, 2, 3, 3]


def test_what_is_not_there_is_said_with_what_is(world: World) -> None:
    world.register("a")
    world.move(1)
    cases: list[tuple[str, type[RegistryError], str]] = [
        ("team/brest-cancer", UnknownModel, "no model team/brest-cancer in .* Did you mean team/breast-cancer?"),
        ("team/brest-cancer:1", UnknownModel, "Did you mean team/breast-cancer?"),
        ("other/breast-cancer@champion", UnknownModel, "no model other/breast-cancer"),
        ("team/breast-cancer:2", UnknownVersion, "has no version 2: it has 1 to 1"),
        (
            "team/breast-cancer@champ",
            UnknownAlias,
            "has no alias champ: it has champion. Did you mean team/breast-cancer@champion?",
        ),
        ("team/breast-cancer@staging", UnknownAlias, "has no alias staging: it has champion"),
    ]
    for ref, error, words in cases:
        with pytest.raises(error, match=words):
            world.registry.resolve(ref)
    with pytest.raises(UnknownModel):
        world.registry.move_alias("team/nothing", "champion", 1, by="me")
    with pytest.raises(UnknownVersion):
        world.registry.move_alias(MODEL, "champion", 2, by="me")
    world.move(None)
    with pytest.raises(UnknownAlias, match=r"has no alias champion \(taken away on 2026-11-01.* by someone\): it has none"):
        world.registry.resolve(f"{MODEL}@champion")


def test_an_alias_keeps_its_history(world: World) -> None:
    for build in "abc":
        world.register(build)
    begin = world.clock()
    for version in (1, 3, 2, None, 3):
        world.move(version, reason=f"to {version}")
    moves = world.registry.history(MODEL, "champion")
    assert [(m.number, m.previous, m.version) for m in moves] == [(5, None, 3), (4, 2, None), (3, 3, 2), (2, 1, 3), (1, None, 1)]
    assert [m.at for m in moves] == [begin + timedelta(seconds=60 * n) for n in (5, 4, 3, 2, 1)]
    assert moves[0] == world.registry.alias(MODEL, "champion")
    assert {(m.by, m.reason) for m in moves} >= {("someone", "to 3")}
    assert [m.number for m in world.registry.history(MODEL, "champion", limit=2)] == [5, 4]


def test_the_alias_of_a_moment_is_the_first_of_its_history_up_to_then(world: World) -> None:
    world.register("a")
    world.register("b")
    begin = world.clock()
    for number in range(13):
        world.move(number % 2 + 1)
    for seconds, number in ((0, None), (59, None), (60, 1), (61, 1), (7 * 60 + 30, 7), (13 * 60, 13), (10**6, 13)):
        moves = world.registry.history(MODEL, "champion", at=begin + timedelta(seconds=seconds))
        assert (moves[0].number if moves else None) == number
        assert len(moves) == (number or 0)
    assert world.registry.history(MODEL, "never-set", at=begin) == []
    with pytest.raises(ValueError, match="no time zone"):
        world.registry.history(MODEL, "champion", at=datetime(2026, 11, 3))


def test_times_rise_along_a_history_even_if_a_writers_clock_is_wrong(world: World) -> None:
    world.register("a")
    world.register("b")
    world.move(1)
    world.clock.advance(-3600)
    world.move(2)
    newest, oldest = world.registry.history(MODEL, "champion")
    assert newest.at >= oldest.at


def test_a_move_to_where_the_alias_is_writes_nothing_and_says_so(world: World) -> None:
    world.register("a")
    first = world.registry.move_alias(MODEL, "champion", 1, by="a")
    again = world.registry.move_alias(MODEL, "champion", 1, by="b")
    assert (first.changed, again.changed) == (True, False)
    assert (again.number, again.by) == (1, "a")
    assert len(world.registry.history(MODEL, "champion")) == 1
    assert world.registry.move_alias(MODEL, "unset", None, by="b").changed is False
    assert world.registry.history(MODEL, "unset") == []


def test_a_move_from_where_the_alias_is_not_is_refused(world: World) -> None:
    for build in "abc":
        world.register(build)
    world.move(1, expected=None)
    world.move(2, expected=1)
    for expected, words in ((1, r"at version 2 since .*moved by someone\), expected at version 1"), (None, "expected not set")):
        with pytest.raises(LostRace, match=words):
            world.registry.move_alias(MODEL, "champion", 3, by="me", expected=expected)
    with pytest.raises(LostRace, match="is not set, expected it to be at version 1"):
        world.registry.move_alias(MODEL, "unset", 3, by="me", expected=1)
    assert world.registry.resolve(f"{MODEL}@champion").version == 2


def test_racing_moves_make_one_line_of_history(world: World) -> None:
    for build in range(8):
        world.register(build)
    start = threading.Barrier(8)

    def run(worker: int) -> None:
        registry = Registry(world.store)
        start.wait(timeout=30)
        for step in range(3):
            registry.move_alias(MODEL, "champion", (worker + step) % 8 + 1, by=str(worker))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    moves = world.registry.history(MODEL, "champion")[::-1]
    assert [m.number for m in moves] == list(range(1, len(moves) + 1))
    assert moves[0].previous is None
    assert all(later.previous == earlier.version for earlier, later in pairwise(moves))
    assert all(m.version != m.previous for m in moves)


def test_of_racing_moves_with_one_expectation_one_is_done(world: World) -> None:
    for build in range(8):
        world.register(build)
    world.move(1)
    start = threading.Barrier(7)

    def run(version: int) -> bool:
        registry = Registry(world.store)
        start.wait(timeout=30)
        try:
            registry.move_alias(MODEL, "champion", version, by="x", expected=1)
        except LostRace:
            return False
        return True

    with ThreadPoolExecutor(7) as pool:
        done = list(pool.map(run, range(2, 9)))
    assert sum(done) == 1
    assert world.registry.resolve(f"{MODEL}@champion").version == done.index(True) + 2


def test_aliases_are_those_that_point_somewhere(world: World) -> None:
    world.register("a")
    world.register("b")
    assert world.registry.aliases(MODEL) == {}
    world.move(1)
    world.move(2, "challenger")
    world.move(1, "gone")
    world.move(None, "gone")
    assert {name: move.version for name, move in world.registry.aliases(MODEL).items()} == {"champion": 1, "challenger": 2}


@pytest.mark.parametrize("alias", ["7", "v7", "Champion", "a/b", "latest", ""])
def test_an_alias_that_could_mislead_is_refused(world: World, alias: str) -> None:
    world.register("a")
    with pytest.raises(InvalidName):
        world.registry.move_alias(MODEL, alias, 1, by="me")


def test_a_version_without_its_files_is_not_registered(world: World) -> None:
    lost = FileEntry(path="lost.onnx", digest=build_id("lost"), size=3)
    with pytest.raises(MissingBlob, match=r"1 of the version's files .*lost\.onnx: store them first") as refusal:
        world.registry.register(world.draft("a", files=(world.file, lost)))
    assert refusal.value.digests == (lost.digest,)
    wrong_size = world.file.model_copy(update={"size": 1})
    with pytest.raises(MissingBlob):
        world.registry.register(world.draft("a", files=(wrong_size,)))
    with pytest.raises(MissingBlob):
        world.registry.register(world.draft("a", logs=(lost,)))
    with pytest.raises(RegistryError, match="needs at least one file"):
        world.registry.register(world.draft("a", files=()))
    with pytest.raises(RegistryError, match="same path"):
        world.registry.register(world.draft("a", files=(world.file, world.file)))
    assert world.registry.latest(MODEL) == 0
    assert world.registry.models() == []


@pytest.mark.parametrize("model", ["breast-cancer", "Team/x", "a/b/c", "../x", "team/" + "x" * 300])
def test_a_malformed_model_name_is_refused(world: World, model: str) -> None:
    with pytest.raises(InvalidName):
        world.registry.register(world.draft("a", model))


def test_pins_say_who_uses_what(world: World) -> None:
    world.registry.pin("ModelDeployment", "team", "web", versions=["team/m:2", "team/m:1", "team/m:2"], blobs=[build_id("x")])
    world.registry.pin("AppBuild", "team", "web", versions=[])
    found = {(pin.kind, pin.namespace, pin.name): pin for pin in world.registry.pins()}
    assert found["ModelDeployment", "team", "web"].versions == ("team/m:1", "team/m:2")
    assert len(found) == 2
    world.registry.unpin("ModelDeployment", "team", "web")
    world.registry.unpin("ModelDeployment", "team", "web")
    assert [pin.kind for pin in world.registry.pins()] == ["AppBuild"]
    with pytest.raises(RegistryError):
        world.registry.pin("ModelDeployment", "..", "web")


def test_verifying_reads_every_byte(world: World, tmp_path: Path) -> None:
    files = [world.registry.blobs.put_bytes(text.encode() * 1000, path=text) for text in ("fine", "lost", "wrong")]
    record = world.registry.register(world.draft("a", files=tuple(files)))
    assert world.registry.verify(record).ok
    assert world.registry.missing_blobs(record) == []
    world.store.delete(world.registry.blobs.key(files[1].digest))
    world.store.put(world.registry.blobs.key(files[2].digest), b"wrong" * 999 + b"wronk")
    found = world.registry.verify(record)
    assert (found.ok, found.missing, found.corrupt) == (False, (files[1].digest,), (files[2].digest,))
    assert world.registry.missing_blobs(record) == [files[1].digest]


def attempt(number: int, **changes: object) -> AttemptResult:
    now = datetime(2026, 11, 3, tzinfo=UTC)
    fields = {"build_id": build_id("a"), "attempt": number, "outcome": "Succeeded", "reason": "Trained", "started_at": now}
    return AttemptResult.model_validate({**fields, "finished_at": now, **changes})


def test_the_first_report_of_an_attempt_stands(world: World) -> None:
    assert world.registry.read_attempt(build_id("a"), 1) is None
    first = world.registry.write_attempt(attempt(1, outcome="Failed", reason="TrainingFailed"))
    second = world.registry.write_attempt(attempt(1))
    assert first == second == world.registry.read_attempt(build_id("a"), 1)
    assert world.registry.write_attempt(attempt(2)).outcome == "Succeeded"


def test_a_request_can_be_written_again(world: World) -> None:
    for file in (world.file, world.file.model_copy(update={"path": "other"})):
        world.registry.write_request(build_id("a"), 1, file)
        assert world.registry.read_request(build_id("a"), 1, FileEntry) == file
    assert world.registry.read_request(build_id("a"), 2, FileEntry) is None
    with pytest.raises(ValueError, match="count from 1"):
        world.registry.read_request(build_id("a"), 0, FileEntry)


def test_readers_see_the_next_version_at_once(world: World) -> None:
    reader = Registry(world.store)
    for number in range(1, 30):
        assert world.register(number) == number
        assert reader.latest(MODEL) == number
        assert reader.resolve(MODEL).version == number


@pytest.mark.parametrize(
    "rubbish", [b"", b"null", b'{"last": 0}', b'{"last": 999}', b'{"last": "x"}', b'{"last": 1e99}', b"\xff"]
)
def test_a_wrong_hint_misleads_nobody(world: World, rubbish: bytes) -> None:
    for number in range(1, 12):
        world.register(number)
    hint = f"index/last/versions/{MODEL}/last.json"
    assert world.store.get(hint).data == b'{"last":8}'
    world.store.put(hint, rubbish)
    assert world.registry.latest(MODEL) == 11
    assert world.register("next") == 12


def test_two_registries_in_one_bucket_do_not_meet(store: ObjectStore, make_prefix: Callable[[str], ObjectStore]) -> None:
    one, other = World(make_prefix("one")), World(make_prefix("other"))
    assert (one.register("a"), one.register("b"), other.register("c")) == (1, 2, 1)
    assert one.registry.find_build(MODEL, build_id("c")) is None
