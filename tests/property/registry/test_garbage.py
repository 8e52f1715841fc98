"""Writers, readers and collectors in any order, with crashes and lost answers: what is referred to never disappears, and
everything else does in the end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256

from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.registry import LostRace, MissingBlob, Policy, Registry, RetiredVersion
from slipway.registry.garbage.guard import LOOK_EVERY
from slipway.registry.records import VersionDraft, VersionRecord
from slipway.storage import ObjectStore, StorageError, Unavailable
from slipway.storage.memory import MemoryStore
from tests.fakes.clock import FakeClock
from tests.fakes.interleave import ACTIONS, Action, Crash, Worker, interleave

MODEL = "ns/m"
Schedule = list[tuple[int, Action]]
contents = st.integers(0, 3)
steps = st.tuples(st.integers(0, 5), st.sampled_from((*("go",) * 8, *ACTIONS)))
schedules = st.lists(steps, max_size=50)
versions = st.integers(1, 4)
calm = st.one_of(
    st.tuples(st.just("register"), contents),
    st.tuples(st.just("orphan"), contents),
    st.tuples(st.just("alias"), versions),
    st.tuples(st.just("pin"), versions),
    st.just(("unpin",)),
    st.tuples(st.just("wait"), st.sampled_from([1, 11, 13, 25, 800])),
    st.just(("collect",)),
)
races = st.tuples(
    st.just("race"),
    st.lists(st.tuples(st.sampled_from(["write", "collect", "alias"]), contents), min_size=2, max_size=3),
    schedules,
)
# Two that chance alone would seldom find: a blob that is written again while it is being deleted, and an alias that comes
# to a version while it is being retired.
tails = st.lists(
    st.tuples(st.sampled_from([0, 1, 1]), st.sampled_from(["go", "go", "go", "lose answer"])), min_size=8, max_size=40
)
late = st.integers(3, 26).flatmap(lambda begun: tails.map(lambda tail: [(0, "go")] * begun + tail))
doomed = st.tuples(st.just("doomed"), st.integers(1, 3), st.sampled_from([25, 0, 25]), late)
retiring = st.tuples(st.just("retiring"), late)
histories = st.lists(st.one_of(calm, calm, races), max_size=18)
tight = st.tuples(st.lists(calm, max_size=3), st.one_of(doomed, retiring), st.lists(calm, max_size=3)).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)


class World:
    def __init__(self, keep: int | None) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(clock=self.clock)
        self.policy = Policy(retention={MODEL: keep} if keep else {})
        self.builds = 0
        self.registry = self.open(self.store)
        """Lives all the time, so that it remembers lists of the condemned that are old."""

    def open(self, store: ObjectStore) -> Registry:
        return Registry(store, clock=self.clock, pause=self.clock.advance, monotonic=self.clock.monotonic)

    def write(self, registry: Registry, content: int) -> VersionRecord:
        """As a training pod does: first the bytes, then the record."""
        self.builds += 1
        file = registry.blobs.put_bytes(f"content {content}".encode(), path="m")
        build = "sha256:" + sha256(str(self.builds).encode()).hexdigest()
        return registry.register(VersionDraft(model=MODEL, build_id=build, reason="t", files=(file,), format="onnx"))

    def do(self, event: tuple[object, ...]) -> None:
        match event:
            case ("register", int(content)):
                self.in_the_end(lambda: self.write(self.registry, content))
            case ("orphan", int(content)):
                self.in_the_end(lambda: self.registry.blobs.put_bytes(f"content {content}".encode()))
            case ("alias", int(version)):
                self.point(self.registry, version)
            case ("pin", int(version)):
                if version <= self.registry.latest(MODEL):
                    try:
                        self.registry.pin("ModelDeployment", "ns", "d", versions=[f"{MODEL}:{version}"])
                    except MissingBlob:
                        assert self.registry.retired(MODEL, version)
                        self.registry.unpin("ModelDeployment", "ns", "d")
            case ("unpin",):
                self.registry.unpin("ModelDeployment", "ns", "d")
            case ("wait", int(hours)):
                self.clock.advance(hours * 3600)
            case ("collect",):
                self.collect(self.registry)
            case ("race", list(parts), list(schedule)):
                self.race(parts, schedule)
            case ("doomed", int(content), int(hours), list(schedule)):
                self.do(("orphan", content))
                self.clock.advance(25 * 3600)
                self.collect(self.registry)
                self.clock.advance(hours * 3600)
                self.race([("collect", 0), ("write", content)], schedule)
            case ("retiring", list(schedule)):
                self.do(("register", 0))
                self.do(("register", 1))
                latest = self.registry.latest(MODEL)
                self.race([("collect", 0), ("alias", latest - 2), ("collect", 0)], schedule)

    def in_the_end(self, write: Callable[[], object]) -> None:
        """A collector that died while it deleted these very bytes holds a writer up until the next run has ended that."""
        try:
            write()
        except Unavailable as error:
            assert "slipway gc" in str(error)
            self.clock.advance(6 * 60)
            self.registry.collect(self.policy)
            write()

    def point(self, registry: Registry, version: int) -> None:
        if version <= registry.latest(MODEL):
            with suppress(RetiredVersion):
                registry.move_alias(MODEL, "champion", version, by="x")

    def remembering(self, store: ObjectStore) -> Registry:
        """A registry that looked at the list of the condemned as long ago as is allowed."""
        registry, guard = self.open(store), self.open(self.store).blobs._guard
        found = [
            info for info in self.store.list("gc/condemned") if self.clock() - info.modified >= timedelta(seconds=LOOK_EVERY)
        ]
        mine = registry.blobs._guard
        mine._digests, mine._looked = guard._condemned() if found else frozenset(), self.clock.monotonic()
        return registry

    def collect(self, registry: Registry) -> None:
        with suppress(LostRace):  # of a run that died, while its lock is young
            registry.collect(self.policy)

    def race(self, parts: list[tuple[str, int]], schedule: Schedule) -> None:
        def worker(number: int, what: str, content: int) -> Worker:
            match what:
                case "write":
                    return Worker(str(number), lambda store: self.write(self.remembering(store), content))
                case "alias":
                    return Worker(str(number), lambda store: self.point(self.open(store), content + 1))
                case _:
                    return Worker(str(number), lambda store: self.collect(self.open(store)))

        workers = [worker(number, what, content) for number, (what, content) in enumerate(parts)]
        interleave(self.store, workers, schedule)
        for one in workers:
            assert one.error is None or isinstance(one.error, Crash | StorageError), one.error

    def check(self) -> None:
        """Whatever a reader may ask for is there, byte for byte."""
        move = self.registry.alias(MODEL, "champion")
        pinned = {version for pin in self.registry.pins() for version in pin.versions}
        for record in self.registry.versions(MODEL, limit=1000):
            named = (move and move.version == record.version) or f"{MODEL}:{record.version}" in pinned
            if named or self.registry.retired(MODEL, record.version) is None:
                assert self.registry.verify(record).ok, record

    def settle(self) -> None:
        """Time passes, and the collector runs as it should."""
        for _ in range(6):
            self.clock.advance(25 * 3600)
            self.registry.collect(self.policy)


@given(history=st.one_of(histories, tight, tight), keep=st.sampled_from([None, 1, 2]))
@example(
    history=[("orphan", 3), ("doomed", 1, 25, [(0, "lose answer" if at == 17 else "go") for at in range(24)]), ("register", 3)],
    keep=None,
)
@settings(max_examples=400, deadline=None)
def test_nothing_referred_to_disappears_and_everything_else_does(history: list[tuple[object, ...]], keep: int | None) -> None:
    world = World(keep)
    world.do(("register", 0))
    for event in history:
        world.do(event)
        world.check()
    world.settle()
    world.check()
    registry = world.registry
    alive = [r for r in registry.versions(MODEL, limit=1000) if registry.retired(MODEL, r.version) is None]
    wanted = {entry.digest for record in alive for entry in record.files}
    there = {"sha256:" + info.key.rpartition("/")[2] for info in world.store.list("blobs/")}
    assert there == wanted
    if keep:
        newest = registry.latest(MODEL)
        assert all(record.version in {r.version for r in alive} for record in registry.versions(MODEL, limit=keep))
        moves = registry.history(MODEL, "champion")
        pinned = {version for pin in registry.pins() for version in pin.versions}
        for record in alive:
            named = record.version in {move.version for move in moves} or f"{MODEL}:{record.version}" in pinned
            assert record.version > newest - keep or named
    assert world.registry.collect(world.policy, dry_run=True).items == ()
