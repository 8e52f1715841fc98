"""Fault sweeps: the same scenario once undisturbed, then once for each place where something can go wrong.

Each disturbed run must come to the state of the undisturbed one after every action of the user, and come to rest there.

    report = await sweep(Scenario("build", make_world, (apply_build, change_params, delete_build), budget=20))
    assert report.ok, report
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from slipway.kube import port as kube
from slipway.storage import port as storage
from slipway.storage.memory import Call as StoreCall
from tests.fakes.api_server import Call, FakeApiServer
from tests.fakes.objects import WatchEvent
from tests.faults import normal
from tests.faults.world import EventFilter, Operator, World

Action = Callable[[World], None]
State = dict[str, Any]
QUIET_ROUNDS = 3


class Crash(BaseException):
    """The operator is killed here. No `except Exception` may see it, as none sees SIGKILL."""


@dataclass(frozen=True)
class Scenario:
    """`actions` are what users do, each followed by rest. `budget` limits the operator's writes to the API server
    over the whole undisturbed run. `leaves_nothing`: after the last action nothing that Slipway made may be left.
    `ignore` are kinds, `ignore_keys` prefixes of store keys that do not count; `adjust` may change a state before it
    is compared."""

    name: str
    build: Callable[[], World]
    actions: Sequence[Action]
    budget: int | None = None
    leaves_nothing: bool = False
    ignore: tuple[str, ...] = ("Event",)
    ignore_keys: tuple[str, ...] = ("index/",)
    adjust: Callable[[State], State] = lambda state: state


@dataclass
class Reference:
    """What the undisturbed run did: its states after each action, and every place that a fault can be put."""

    states: list[State] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    store_calls: list[StoreCall] = field(default_factory=list)
    events: int = 0
    reconciles: list[tuple[int, frozenset[tuple[str, str, str]]]] = field(default_factory=list)
    """Per reconcile: the revision at its start, and what it read (kind, namespace, name; name empty for lists)."""
    history: dict[tuple[str, str, str], list[tuple[int, bool]]] = field(default_factory=dict)
    writes: int = 0


@dataclass(repr=False)
class Report:
    """Points covered and passed per kind of fault, and what went wrong where."""

    scenario: str
    covered: Counter[str] = field(default_factory=Counter)
    failures: dict[str, list[str]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    reconciles: int = 0

    @property
    def ok(self) -> bool:
        return not any(self.failures.values())

    def add(self, kind: str, point: str, problem: str | None) -> None:
        self.covered[kind] += 1
        if problem:
            self.failures.setdefault(kind, []).append(f"{point}: {problem}")

    def merge(self, other: Report) -> None:
        """Adds what another sweep of the same scenario covered."""
        self.covered += other.covered
        self.skipped += other.skipped
        for kind, problems in other.failures.items():
            self.failures.setdefault(kind, []).extend(problems)

    def figures(self) -> dict[str, dict[str, int]]:
        """Per kind of fault: covered, passed, and points left out by a limit."""
        return {
            kind: {
                "covered": count,
                "passed": count - len(self.failures.get(kind, ())),
                "skipped": self.skipped[kind],
            }
            for kind, count in sorted(self.covered.items())
        }

    def __repr__(self) -> str:
        rows = [f"{self.scenario}: {self.writes} writes, {self.reconciles} reconciles undisturbed"]
        rows += [f"  {k:<28} {v['passed']}/{v['covered']} passed" for k, v in self.figures().items()]
        for kind, problems in sorted(self.failures.items()):
            rows += [f"  {kind}: {problem}" for problem in problems[:5]]
            rows += [f"  {kind}: … and {len(problems) - 5} more"] if len(problems) > 5 else []
        return "\n".join(rows)


# ---- running a scenario ----


@dataclass
class Disturbance:
    """One way to break a run. `arm` sets hooks on the new world; `lives` makes each operator of that world."""

    arm: Callable[[World], None] = lambda _world: None
    operator: Callable[[World], Operator] = Operator


async def _play(scenario: Scenario, disturbance: Disturbance, each: Callable[[World, Operator, int], None]) -> None:
    """Plays all actions; a crash is followed by a new operator, with nothing of the old one's memory."""
    world = scenario.build()
    disturbance.arm(world)
    operator = disturbance.operator(world)
    for number, action in enumerate(scenario.actions):
        action(world)
        for _ in range(20):
            try:
                await operator.run_to_rest()
                break
            except Crash:
                operator = disturbance.operator(world)
        else:
            raise AssertionError("crashed twenty times in one action")
        each(world, operator, number)


def _state(scenario: Scenario, world: World) -> State:
    state: State = {"objects": normal.objects(world.api, scenario.ignore)}
    for store in world.stores():
        state[store.name] = normal.store(store.snapshot(), scenario.ignore_keys)
    return scenario.adjust(state)


async def run_reference(scenario: Scenario, report: Report) -> Reference:
    """The undisturbed run, with the checks that belong to it: rest, quiescence, budget, nothing left."""
    reference = Reference()
    lives: list[Operator] = []

    def arm(world: World) -> None:
        def reading(call: Call) -> None:
            reference.calls.append(call)
            if not call.write and reference.reconciles:
                revision, reads = reference.reconciles[-1]
                reference.reconciles[-1] = (revision, reads | {(call.kind, call.namespace, call.name)})

        def storing(call: StoreCall) -> None:
            if world.operator_acts:
                reference.store_calls.append(call)

        world.api.before = reading
        world.hook_stores(storing, lambda _call: None)

    def begin(world: World) -> Operator:
        operator = Operator(world)
        operator.on_reconcile = lambda _key: reference.reconciles.append((world.api.revision, frozenset()))
        lives.append(operator)
        return operator

    def each(world: World, operator: Operator, number: int) -> None:
        reference.states.append(_state(scenario, world))

    await _play(scenario, Disturbance(arm, begin), each)
    world, operator = lives[-1].world, lives[-1]
    reference.events = len(world.api.events)
    reference.writes = world.api.writes
    reference.history = {
        identity: [(revision, obj is not None) for revision, obj in versions]
        for identity, versions in world.api.objects.history.items()
    }
    report.writes, report.reconciles = world.api.writes, operator.reconciles
    await _check_quiescence(world, operator, report)
    if scenario.budget is not None:
        over = world.api.writes > scenario.budget
        report.add("write budget", f"{world.api.writes} writes", f"budget is {scenario.budget}" if over else None)
    if scenario.leaves_nothing:
        left = leftovers(world.api)
        report.add("nothing left", "after the last action", f"left over: {left}" if left else None)
    return reference


async def _check_quiescence(world: World, operator: Operator, report: Report) -> None:
    before = (world.state(), world.api.writes)
    for number in range(QUIET_ROUNDS):
        await operator.round()
        world.clock.advance(world.resync)
        after = (world.state(), world.api.writes)
        report.add("quiescence", f"round {number + 1}", None if after == before else f"wrote: {before} -> {after}")


def leftovers(api: FakeApiServer) -> list[str]:
    """Objects that were made for a resource."""
    found = [o for o in api.all() if o["kind"] != "Event"]
    return [
        f"{o['kind']}/{o['metadata']['name']}"
        for o in found
        if o["metadata"].get("ownerReferences") or "slipway.dev/kind" in o["metadata"].get("labels", {})
    ]


async def _run(scenario: Scenario, disturbance: Disturbance, reference: Reference) -> str | None:
    """What is wrong with a disturbed run; None when nothing is."""
    problems: list[str] = []

    def each(world: World, _operator: Operator, number: int) -> None:
        problem = normal.difference(reference.states[number], _state(scenario, world))
        if problem:
            problems.append(f"after action {number + 1}: {problem}")

    try:
        await _play(scenario, disturbance, each)
    except AssertionError as error:
        problems.append(str(error))
    return problems[0] if problems else None


# ---- the faults ----

Fault = tuple[str, str, Disturbance]
"""Kind, point in words, and the disturbance."""
Raises = Callable[[], BaseException]


def _at_call(number: int, error: Raises, *, after: bool = False, write: bool = False) -> Disturbance:
    """Raises once, at the n-th call (or write) of the API port."""

    def arm(world: World) -> None:
        def hook(call: Call) -> None:
            if (call.write if write else call.number) == number:
                raise error()

        if after:
            world.api.after = hook
        else:
            world.api.before = hook

    return Disturbance(arm)


def _at_store_call(number: int, error: Callable[[StoreCall], BaseException], *, after: bool = False) -> Disturbance:
    """Raises once, at the operator's n-th call of any store."""

    def arm(world: World) -> None:
        seen = [0]
        chosen: list[StoreCall] = []

        def before(call: StoreCall) -> None:
            if not world.operator_acts:
                return
            seen[0] += 1
            if seen[0] == number:
                chosen.append(call)
                if not after:
                    raise error(call)

        def behind(call: StoreCall) -> None:
            if after and call in chosen:
                chosen.clear()
                raise error(call)

        world.hook_stores(before, behind)

    return Disturbance(arm)


def crashes(reference: Reference) -> Iterable[Fault]:
    """Killed before and after each write, to the API server and to a store."""
    for call in reference.calls:
        if call.write:
            yield "crash before kube write", str(call), _at_call(call.write, Crash, write=True)
            yield "crash after kube write", str(call), _at_call(call.write, Crash, write=True, after=True)
    for number, stored in enumerate(reference.store_calls, start=1):
        if stored.writes:
            point = f"{stored.operation} {stored.key}"
            yield "crash before store write", point, _at_store_call(number, lambda _c: Crash())
            yield "crash after store write", point, _at_store_call(number, lambda _c: Crash(), after=True)


def api_errors(reference: Reference) -> Iterable[Fault]:
    """Each call of the API server answered once with 409, 429, 500, or done and not answered."""
    for call in reference.calls:
        n, point = call.number, str(call)
        yield "kube 429", point, _at_call(n, lambda: kube.Unavailable("429: too many requests", retry_after=1.0))
        yield "kube 500", point, _at_call(n, lambda: kube.Unavailable("500: internal error"))
        if call.write:
            yield "kube 409", point, _at_call(n, lambda: kube.Conflict("409: the object has been modified"))
            yield (
                "kube time-out after commit",
                point,
                _at_call(n, lambda: kube.Unavailable("no answer within 10 s"), after=True),
            )


def _unknown(call: StoreCall) -> BaseException:
    conditional = call.operation in ("put_if_absent", "put_if_match")
    words = f"{call.operation} {call.key}: no answer"
    return storage.OutcomeUnknown(words) if conditional else storage.Unavailable(words)


def store_errors(reference: Reference) -> Iterable[Fault]:
    """Each call of a store refused once, or done and not answered."""
    for number, call in enumerate(reference.store_calls, start=1):
        point = f"{call.operation} {call.key}"
        yield "store unavailable", point, _at_store_call(number, lambda _c: storage.Unavailable("503: slow down"))
        if call.writes:
            yield "store time-out after commit", point, _at_store_call(number, _unknown, after=True)


def stale_reads(reference: Reference) -> Iterable[Fault]:
    """Each reconcile once with all its reads served from each older version that would show it something else."""
    for number, (revision, reads) in enumerate(reference.reconciles, start=1):
        seen = {_view(reference, reads, revision)}
        for old in range(revision - 1, -1, -1):
            view = _view(reference, reads, old)
            if view not in seen:
                seen.add(view)
                yield "stale reads", f"reconcile {number} at revision {old} of {revision}", _stale(number, old)


def _view(
    reference: Reference, reads: Iterable[tuple[str, str, str]], revision: int
) -> frozenset[tuple[tuple[str, str, str], int]]:
    """Which version of which object these reads would show at `revision`."""
    shown = set()
    for identity, versions in reference.history.items():
        if any(identity[0] == k and identity[1] == ns and name in ("", identity[2]) for k, ns, name in reads):
            past = [(at, there) for at, there in versions if at <= revision]
            if past and past[-1][1]:
                shown.add((identity, past[-1][0]))
    return frozenset(shown)


def _stale(number: int, revision: int) -> Disturbance:
    lives: list[Operator] = []
    earlier = [0]

    def begin(world: World) -> Operator:
        earlier[0] += lives[-1].reconciles if lives else 0
        operator = Operator(world)
        lives.append(operator)
        world.api.read_at = lambda _call: revision if earlier[0] + lives[-1].reconciles == number else None
        return operator

    return Disturbance(operator=begin)


def lost_events(reference: Reference) -> Iterable[Fault]:
    """Each watch event dropped, sent twice, or sent after its successor."""
    for number in range(reference.events):
        yield "event dropped", f"event {number}", _filtered(number, lambda _events, _i: [])
        yield "event repeated", f"event {number}", _filtered(number, lambda events, i: [events[i], events[i]])
        yield "event reordered", f"event {number}", _filtered(number, _swapped)


def _swapped(events: list[WatchEvent], index: int) -> list[WatchEvent]:
    return [events[index + 1], events[index]] if index + 1 < len(events) else [events[index]]


def _filtered(number: int, change: Callable[[list[WatchEvent], int], list[WatchEvent]]) -> Disturbance:
    def keep(first: int, events: list[WatchEvent]) -> list[WatchEvent]:
        index = number - first
        if not 0 <= index < len(events):
            return events
        replaced = change(events, index)
        rest = events[index + 2 :] if len(replaced) == 2 and replaced[0] is not replaced[1] else events[index + 1 :]
        return [*events[:index], *replaced, *rest]

    keeper: EventFilter = keep
    return Disturbance(operator=lambda world: Operator(world, keeper))


def two_operators(reference: Reference) -> Iterable[Fault]:
    """Before each write, another operator that takes itself for the leader looks at everything and acts; then the first one goes on
    with what it had decided."""
    for call in reference.calls:
        if call.write:
            yield "second operator", str(call), Disturbance(_beside(call.write))


def _beside(number: int) -> Callable[[World], None]:
    def arm(world: World) -> None:
        writes = [0]

        def before(call: Call) -> None:
            if not call.write or writes[0] >= number:
                return
            writes[0] += 1
            if writes[0] == number:
                _at_once(Operator(world).round())
                world.operator_acts = True

        world.api.before = before

    return arm


def _at_once(work: Coroutine[Any, Any, None]) -> None:
    """Runs to its end what never waits: all ports of a world answer at once."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")


ALL_FAULTS = (crashes, api_errors, store_errors, stale_reads, lost_events, two_operators)


async def sweep(
    scenario: Scenario,
    faults: Sequence[Callable[[Reference], Iterable[Fault]]] = ALL_FAULTS,
    *,
    limit: int | None = None,
) -> Report:
    """Runs `scenario` undisturbed and then once per fault. With `limit`, at most so many points of each kind are run,
    evenly spread, and the report says how many were left out."""
    report = Report(scenario.name)
    reference = await run_reference(scenario, report)
    points = [fault for family in faults for fault in family(reference)]
    for kind, group in groupby(sorted(points, key=lambda fault: fault[0]), key=lambda fault: fault[0]):
        of_kind = list(group)
        chosen = of_kind
        if limit is not None and len(of_kind) > limit:
            chosen = [of_kind[index * len(of_kind) // limit] for index in range(limit)]
            report.skipped[kind] = len(of_kind) - len(chosen)
        for _, point, disturbance in chosen:
            report.add(kind, point, await _run(scenario, disturbance, reference))
    return report
