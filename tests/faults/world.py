"""A whole small world for fault tests: an API server, the cluster's controllers, a store, a clock, and the operator as
the only part that can be killed. Nothing waits: time is moved on when nothing is left to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from slipway.reconcile.apply import Applier
from slipway.reconcile.contract import Key
from slipway.reconcile.deps import ControllerFactory, Deps
from slipway.reconcile.driver import Driver, Listener, Outcome
from slipway.reconcile.events import EventSender
from slipway.reconcile.history import Recorder
from slipway.reconcile.moves import RegistryMoves
from slipway.reconcile.queue import Backoff, Schedule
from slipway.reconcile.routing import KINDS, keys_for
from slipway.reconcile.runs import RunEvent
from slipway.reconcile.status_writer import StatusWriter
from slipway.reconcile.stores import Inline
from slipway.registry.registry import Registry
from slipway.settings import Settings
from slipway.storage.memory import Hook, MemoryStore
from slipway.storage.port import ObjectStore
from tests.fakes.api_server import FakeApiServer
from tests.fakes.clock import FakeClock
from tests.fakes.cluster import SimCluster
from tests.fakes.objects import WatchEvent
from tests.fakes.scraper import FakeScraper


def _no_fence() -> None:
    return None


@dataclass
class World:
    """`factories` make the controllers by kind, anew for each operator. `store` holds the registry; other buckets come
    into being when they are asked for. `resync` and `patience` in seconds: the world is at rest when nothing was
    written for so long."""

    factories: Mapping[str, ControllerFactory]
    settings: Settings = field(default_factory=lambda: Settings(registry="memory://registry"))
    clock: FakeClock = field(default_factory=FakeClock)
    resync: float = 30.0
    patience: float = 120.0
    max_reconciles: int = 3000

    def __post_init__(self) -> None:
        self.api = FakeApiServer(self.clock)
        self.cluster = SimCluster(self.api)
        self.scraper = FakeScraper(self.api)
        self.store = MemoryStore("registry", clock=self.clock)
        self.buckets: dict[str, MemoryStore] = {}
        self.operator_acts = False
        self.runs: list[RunEvent] = []
        self.listeners: Callable[[], Iterable[Listener]] = tuple
        """What a new operator makes to be shown every status, beside the recorder of history."""
        self._uuids = 0
        self._counted: dict[str, tuple[int, int]] = {}

    def bucket(self, name: str) -> MemoryStore:
        """The bucket `name`, made when needed."""
        if name not in self.buckets:
            self.buckets[name] = MemoryStore(name, clock=self.clock)
            self.buckets[name].before, self.buckets[name].after = self.store.before, self.store.after
        return self.buckets[name]

    def hook_stores(self, before: Hook, after: Hook) -> None:
        """Sets the hooks of all stores, and of those that come."""
        for store in self.stores():
            store.before, store.after = before, after

    def _stores(self, name: str) -> ObjectStore:
        return self.bucket(name)

    def registry(self) -> Registry:
        """A registry over `store`, as a user, a pod or the operator would open it."""
        return Registry(self.store, clock=self.clock, uuid=self._uuid, pause=self.clock.advance)

    def _uuid(self) -> str:
        self._uuids += 1
        return f"00000000-0000-4000-9000-{self._uuids:012d}"

    def deps(self) -> Deps:
        """What a new operator process gives its controllers."""
        registry = self.registry()
        return Deps(
            kube=self.api,
            registry=registry,
            blobs=registry.blobs,
            stores=self._stores,
            settings=self.settings,
            executor=Inline(),
            scraper=self.scraper,
        )

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Marks calls of the store as the operator's."""
        self.operator_acts = True
        try:
            yield
        finally:
            self.operator_acts = False

    def stores(self) -> list[MemoryStore]:
        """All stores there are."""
        return [self.store, *(self.buckets[name] for name in sorted(self.buckets))]

    def state(self) -> tuple[int, ...]:
        """Changes when anything is written anywhere."""
        return (self.api.revision, *(self._count(store) for store in self.stores()))

    def _count(self, store: MemoryStore) -> int:
        """Writes of a store so far; each call is looked at once."""
        seen, writes = self._counted.get(store.name, (0, 0))
        writes += sum(call.writes for call in store.calls[seen:])
        self._counted[store.name] = (len(store.calls), writes)
        return writes


EventFilter = Callable[[int, list[WatchEvent]], list[WatchEvent]]
"""Given the number of the first event of a batch and the batch: what the operator gets of it."""


def _as_sent(_first: int, events: list[WatchEvent]) -> list[WatchEvent]:
    return events


class Operator:
    """One life of the operator: the real driver under a queue without workers. Killed by throwing it away."""

    def __init__(self, world: World, events: EventFilter = _as_sent) -> None:
        self.world = world
        self.reconciles = 0
        self.on_reconcile: Callable[[Key], None] = lambda _key: None
        self._events = events
        self._cursor = len(world.api.events)
        self._failures: dict[Key, int] = {}
        self._conflicts: dict[Key, int] = {}
        self._schedule = Schedule()
        self._backoff = Backoff(jitter=0.0)
        deps = world.deps()
        moves = RegistryMoves(deps.kube, deps.registry, deps.blobs, deps.executor, _no_fence, now=world.clock)
        self.driver = Driver(
            deps.kube,
            {kind: factory(deps) for kind, factory in world.factories.items()},
            Applier(deps.kube, moves, _no_fence, self.world.scraper),
            moves,
            StatusWriter(deps.kube, EventSender(deps.kube, "test", world.clock), _no_fence, world.runs.extend),
            clock=world.clock,
            listeners=(*world.listeners(), Recorder(deps.registry, deps.executor, _no_fence, world.clock)),
        )
        self._list_all()

    async def run_to_rest(self) -> None:
        """Reconciles, lets the cluster work, and moves time on, until nothing was written for the world's patience.
        Raises AssertionError when that never comes."""
        world, quiet_since = self.world, self._now()
        state, start = world.state(), self.reconciles
        while True:
            if self.reconciles - start > world.max_reconciles:
                recent = [str(call) for call in world.api.calls if call.write][-6:]
                raise AssertionError(f"no rest after {world.max_reconciles} reconciles; last writes: {recent}")
            self._take_events()
            self._schedule.due(self._now())
            if (taken := self._schedule.take(self._now())) is not None:
                await self._reconcile(taken[0])
            elif not world.cluster.step():
                if world.state() == state and self._now() - quiet_since >= world.patience:
                    return
                self._wait()
            if world.state() != state:
                state, quiet_since = world.state(), self._now()

    async def round(self) -> None:
        """Looks at every resource once more, and at what follows from that."""
        self._list_all()
        for _ in range(self._schedule.depth):
            taken = self._schedule.take(self._now())
            assert taken is not None
            await self._reconcile(taken[0])

    async def _reconcile(self, key: Key) -> None:
        self.reconciles += 1
        self.on_reconcile(key)
        with self.world.acting():
            outcome = await self.driver.reconcile(key, self._failures.get(key, 0))
        self._schedule.done(key, self._now())
        self._follow_up(key, outcome)

    def _follow_up(self, key: Key, outcome: Outcome) -> None:
        now = self._now()
        if outcome.word == "transient":
            self._failures[key] = failures = self._failures.get(key, 0) + 1
            pause = self._backoff.seconds(failures, lambda low, high: (low + high) / 2)
            self._schedule.add_at(key, now + max(pause, outcome.after or 0.0))
            return
        if outcome.word == "conflict":
            self._conflicts[key] = self._conflicts.get(key, 0) + 1
            assert self._conflicts[key] <= 50, f"{key}: conflicts without end"
            self._schedule.add(key, now)
            return
        self._failures.pop(key, None)
        self._conflicts.pop(key, None)
        if outcome.word != "gone":
            wish = outcome.after if outcome.after is not None else self.world.resync
            self._schedule.add_at(key, now + min(wish, self.world.resync))

    def _take_events(self) -> None:
        batch = list(self.world.api.events[self._cursor :])
        first, self._cursor = self._cursor, self._cursor + len(batch)
        for event in self._events(first, batch):
            for key in keys_for(event.object, self._deployments):
                if key.kind in self.world.factories:
                    self._schedule.add(key, self._now())

    def _deployments(self, namespace: str) -> list[str]:
        return [name for kind, place, name in self._present() if kind == "ModelDeployment" and place == namespace]

    def _present(self) -> list[tuple[str, str, str]]:
        return sorted(self.world.api.objects.entries)

    def _list_all(self) -> None:
        self._listed = self._now()
        for kind, namespace, name in self._present():
            if kind in KINDS and kind in self.world.factories:
                self._schedule.add(Key(kind, namespace, name), self._now())

    def _wait(self) -> None:
        """Moves time on to what is due next; a periodic list finds resources whose events were lost."""
        due = self._schedule.next_due()
        step = self.world.resync if due is None else min(self.world.resync, max(0.001, due - self._now()))
        self.world.clock.advance(step)
        if self._now() - self._listed >= 2 * self.world.resync:
            self._list_all()

    def _now(self) -> float:
        return self.world.clock.monotonic()
