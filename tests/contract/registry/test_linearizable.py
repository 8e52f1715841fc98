"""Versions and aliases over real stores behave as one register would: recorded histories of racing callers are checked."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

import pytest

from slipway.registry import LostRace, Registry
from slipway.registry.records import FileEntry, VersionDraft
from slipway.storage.port import ObjectStore
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


def record(store: ObjectStore, seed: int, threads: int, calls: int) -> list[Op]:
    for build in range(3):
        Registry(store).register(draft(f"before {build}"), check=False)

    def client(number: int) -> list[Op]:
        rng, registry = random.Random(seed * 100 + number), Registry(store)
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
