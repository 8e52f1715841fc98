"""Versions and aliases over real stores behave as one register would: recorded histories of racing callers are checked."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, cast

import pytest

from slipway.registry import LostRace, Registry
from slipway.registry.records import AliasMove, FileEntry, VersionDraft
from slipway.registry.registry import Model
from slipway.storage.memory import Call, MemoryStore
from slipway.storage.port import ObjectInfo, ObjectStore, OutcomeUnknown
from tests.fakes.linearize import Op, linearizable

MODEL = "ns/m"
FILE = FileEntry(path="m", digest="sha256:" + "0" * 64, size=1)


def draft(build: object) -> VersionDraft:
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return VersionDraft(model=MODEL, build_id=build_id, reason="t", files=(FILE,), format="onnx")


def step(state: Hashable, op: Op) -> Hashable | None:
    """One register: the highest version, where the alias points, how often it was moved."""
    assert isinstance(state, tuple)
    last, champion = state
    match op.asked:
        case ("register",):
            return (last + 1, champion) if op.gave == last + 1 else None
        case ("latest",):
            return state if op.gave == last else None
        case ("resolve",):
            return state if op.gave == champion else None
        case ("move", version, expected):
            if op.gave == "lost":
                return state if champion != expected else None
            return (last, version) if champion == expected else None
    raise AssertionError(op)


def record(
    store: ObjectStore, seed: int, threads: int, calls: int, opened: Callable[[ObjectStore], Registry] = Registry
) -> list[Op]:
    for build in range(3):
        Registry(store).register(draft(f"before {build}"), check=False)

    def client(number: int) -> list[Op]:
        rng, registry = random.Random(seed * 100 + number), opened(store)
        history = []

        def call(asked: tuple[Any, ...], work: Callable[[], Any]) -> None:
            began = time.monotonic()
            gave = work()
            history.append(Op(began, time.monotonic(), asked, gave))

        def resolved() -> int | None:
            move = registry.alias(MODEL, "champion")
            return move.version if move else None

        def moved(version: int, expected: int | None) -> str:
            try:
                registry.move_alias(MODEL, "champion", version, by=str(number), expected=expected)
            except LostRace:
                return "lost"
            return "moved"

        for turn in range(calls):
            match rng.choice(["register", "latest", "resolve", "move"]):
                case "register":
                    build = draft((seed, number, turn))
                    call(("register",), lambda build=build: registry.register(build, check=False).version)  # type: ignore[misc]
                case "latest":
                    call(("latest",), lambda: registry.latest(MODEL))
                case "resolve":
                    call(("resolve",), resolved)
                case _:
                    version, expected = rng.randint(1, 3), rng.choice([None, 1, 2, 3])
                    call(("move", version, expected), lambda v=version, e=expected: moved(v, e))  # type: ignore[misc]
        return history

    with ThreadPoolExecutor(threads) as pool:
        return [op for history in pool.map(client, range(threads)) for op in history]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_recorded_histories_are_linearizable(store: ObjectStore, seed: int) -> None:
    assert linearizable(record(store, seed, threads=4, calls=10), (3, None), step)


@pytest.mark.parametrize("seed", range(6))
def test_histories_over_a_store_that_loses_answers_are_linearizable(seed: int) -> None:
    """Of eight conditional writes one is done and nobody is told, and one is lost."""
    store, rng, lock = MemoryStore(), random.Random(seed), threading.Lock()

    def chance(of: int) -> bool:
        with lock:
            return rng.randrange(of) == 0

    def lose_answer(call: Call) -> None:
        if call.operation == "put_if_absent" and chance(8):
            raise OutcomeUnknown("lost")

    def lose_request(call: Call) -> None:
        time.sleep(0.0005)  # so that threads meet
        if call.operation == "put_if_absent" and chance(8):
            raise OutcomeUnknown("lost")

    store.after, store.before = lose_answer, lose_request
    assert linearizable(record(store, seed, threads=4, calls=12, opened=patient), (3, None), step)


def patient(store: ObjectStore) -> Registry:
    return Registry(store, pause=lambda _seconds: time.sleep(0.001))


class Remembers(Registry):
    """Wrong on purpose: asked again, it says where an alias pointed before."""

    def alias(self, model: Model, alias: str) -> AliasMove | None:
        known = self.__dict__.setdefault("known", {})
        if alias not in known:
            known[alias] = super().alias(model, alias)
        return cast("AliasMove | None", known[alias])


class Careless(MemoryStore):
    """Wrong on purpose: lets more than one win, as a store that does not know the condition."""

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        time.sleep(0.001)
        return self.put(key, data, content_type=content_type)


@pytest.mark.parametrize(("make", "opened"), [(MemoryStore, Remembers), (Careless, Registry)], ids=["stale reads", "two winners"])
def test_what_is_wrong_shows_in_recorded_histories(
    make: Callable[[], ObjectStore], opened: Callable[[ObjectStore], Registry]
) -> None:
    """The check can fail: the same recording over a broken registry, and over a broken store, is found out."""
    histories = (record(make(), seed, threads=4, calls=10, opened=opened) for seed in range(20))
    assert any(not linearizable(history, (3, None), step) for history in histories)


def test_the_checker_refuses_a_stale_read_a_hole_and_a_duplicate() -> None:
    first = Op(0, 1, ("register",), 1)
    assert linearizable([first, Op(2, 3, ("latest",), 1)], (0, None), step)
    assert linearizable([first, Op(0.5, 3, ("latest",), 0)], (0, None), step)
    assert not linearizable([first, Op(2, 3, ("latest",), 0)], (0, None), step)
    assert not linearizable([first, Op(2, 3, ("register",), 3)], (0, None), step)
    assert not linearizable([first, Op(0, 3, ("register",), 1)], (0, None), step)
    moves = [Op(0, 1, ("move", 1, None), "moved"), Op(0, 1, ("move", 2, None), "moved")]
    assert not linearizable(moves, (3, None), step)


def test_sixty_four_racing_writers_get_sixty_four_versions(store: ObjectStore) -> None:
    with ThreadPoolExecutor(64) as pool:
        got = list(pool.map(lambda n: Registry(store).register(draft(n), check=False).version, range(64)))
    assert sorted(got) == list(range(1, 65))
    assert [r.version for r in Registry(store).versions(MODEL, limit=100)] == list(range(64, 0, -1))
