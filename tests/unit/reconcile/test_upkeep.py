"""The operator keeps the registry: index and garbage, in turns, under the lease."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from slipway.reconcile.errors import LeaseLost
from slipway.reconcile.upkeep import RegistryUpkeep, retention
from slipway.registry import Registry
from slipway.registry.index import MANIFEST
from slipway.registry.records import VersionDraft
from slipway.settings import Settings
from slipway.storage.memory import MemoryStore
from tests.fakes.api_server import FakeApiServer
from tests.fakes.clock import FakeClock


def build(name: str, versions: int | None, **more: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"source": {"configMap": {"name": "code"}}, "trainer": {"entrypoint": "train:main"}, **more}
    if versions is not None:
        spec["retention"] = {"versions": versions}
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ModelBuild",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": spec,
    }


def test_a_model_keeps_the_most_that_one_asks_for_and_all_when_one_asks_for_none() -> None:
    broken = build("c", 3)
    broken["spec"]["retention"] = {"versions": 0}
    builds = [
        build("a", 3),
        build("a2", 5, model="a"),
        build("b", 1),
        build("b2", None, model="b"),
        broken,
        build("c2", 2, model="c"),
    ]
    assert retention(builds) == {"ns/a": 5}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def registry(clock: FakeClock) -> Registry:
    made = Registry(MemoryStore(clock=clock), clock=clock)
    for number in range(4):
        file = made.blobs.put_bytes(f"model {number}".encode(), path="m")
        digest = "sha256:" + f"{number}" * 64
        made.register(VersionDraft(model="ns/a", build_id=digest, reason="t", files=(file,), format="onnx"))
    return made


async def test_garbage_goes_in_two_runs_a_grace_period_apart(registry: Registry, clock: FakeClock) -> None:
    api = FakeApiServer(namespaces=("ns",))
    await api.create(build("a", 2))
    registry.move_alias("ns/a", "champion", 1, by="x")
    orphan = registry.blobs.put_bytes(b"orphan")
    fenced: list[int] = []
    upkeep = RegistryUpkeep(api, registry, Settings(), lambda: fenced.append(1))
    for _ in range(2):
        clock.advance(timedelta(hours=25).total_seconds())
        await upkeep.collect()
    assert not registry.blobs.exists(orphan.digest)
    there = [registry.blobs.exists(registry.get("ns/a", n).files[0].digest) for n in (1, 2, 3, 4)]
    assert there == [True, False, True, True]
    assert registry.retired("ns/a", 2) is not None
    assert fenced


async def test_what_goes_wrong_is_tried_again_and_the_lease_ends_it(registry: Registry) -> None:
    turns: list[float] = []
    enough = asyncio.Event()

    async def sleep(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) > 6:
            enough.set()
        await asyncio.sleep(0)

    def fence() -> None:
        if enough.is_set():
            raise LeaseLost("lost")

    upkeep = RegistryUpkeep(FakeApiServer(namespaces=("ns",)), registry, Settings(), fence, sleep=sleep, uniform=lambda a, b: 1.0)
    registry.store.put("gc/condemned.json", b"{")  # cannot be read: garbage waits, the index does not
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(20):
            async with asyncio.TaskGroup() as group:
                group.create_task(upkeep.run())
                await enough.wait()
                registry.store.delete("gc/condemned.json")
    assert caught.group_contains(LeaseLost)
    assert registry.store.get(MANIFEST)
