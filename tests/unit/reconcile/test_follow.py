"""Moved aliases reach those who follow them: with one small request however many there are, and whatever goes wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from slipway.reconcile.contract import Key
from slipway.reconcile.follow import Follower
from slipway.reconcile.stores import Inline
from slipway.registry import moved
from slipway.registry.records import VersionDraft
from slipway.registry.registry import Registry
from slipway.storage.memory import MemoryStore
from slipway.storage.port import Unavailable
from tests.fakes.api_server import FakeApiServer
from tests.fakes.clock import FakeClock


class Place:
    """A registry with versions 1 and 2 of some models, and deployments that follow their alias champion."""

    def __init__(self, models: int = 3) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore("registry", clock=self.clock)
        self.api = FakeApiServer(self.clock)
        self.registry = Registry(self.store, clock=self.clock, pause=self.clock.advance)
        for number in range(models):
            for version in (1, 2):
                stored = self.registry.blobs.put_bytes(b"m", "application/octet-stream", path="model.onnx")
                build = f"sha256:{number:032d}{version:032d}"
                draft = VersionDraft(model=f"default/m{number}", build_id=build, reason="t", files=(stored,), format="onnx")
                self.registry.register(draft)
            self.api.make(deployment(f"d{number}", {"name": f"m{number}", "alias": "champion"}))
        self.told: list[str] = []

    def follower(self) -> Follower:
        def add(key: Key) -> None:
            self.told.append(key.name)

        return Follower(self.api, self.store, Inline(), (), add, interval=2.0, clock=self.clock)

    def move(self, model: str, version: int = 1, alias: str = "champion") -> None:
        self.registry.move_alias(f"default/{model}", alias, version, by="ann", reason="t")


def deployment(name: str, model: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta, "spec": {"model": model}}


async def test_a_move_is_told_once_to_those_who_follow_that_alias() -> None:
    place = Place()
    place.api.make(deployment("other", {"name": "m1", "alias": "challenger"}))
    place.api.make(deployment("pinned", {"name": "m1", "version": 1}))
    follower = place.follower()
    await follower.once()
    place.move("m1")
    await follower.once()
    await follower.once()
    assert place.told == ["d1"]
    place.move("m1", 2)
    await follower.once()
    assert place.told == ["d1", "d1"]


async def test_a_look_is_one_request_however_many_models_there_are() -> None:
    place = Place(models=200)
    follower = place.follower()
    await follower.once()
    before, asked = len(place.store.calls), len(place.api.calls)
    for _ in range(10):
        await follower.once()
    assert len(place.store.calls) - before == 10
    assert len(place.api.calls) == asked, "without news the API server is not asked at all"


async def test_a_writer_whose_clock_is_behind_is_heard() -> None:
    place = Place()
    follower = place.follower()
    place.move("m0")
    await follower.once()
    place.clock.advance(120.0)
    late = Registry(place.store, clock=lambda: place.clock() - timedelta(minutes=3), pause=place.clock.advance)
    late.move_alias("default/m2", "champion", 1, by="bob", reason="t")
    await follower.once()
    assert place.told == ["d0", "d2"]


async def test_the_store_gone_for_a_while_loses_no_news() -> None:
    place = Place()
    follower = place.follower()
    await follower.once()
    place.move("m0")

    def gone(_call: object) -> None:
        raise Unavailable("no answer")

    place.store.before = gone
    with pytest.raises(Unavailable):
        await follower.once()
    place.store.before = lambda _call: None
    await follower.once()
    assert place.told == ["d0"]


async def test_news_that_cannot_be_written_do_not_undo_the_move() -> None:
    place = Place()

    def refuse(call: Any) -> None:
        if call.key.startswith(moved.PREFIX):
            raise Unavailable("no answer")

    place.store.before = refuse
    place.move("m0")
    current = place.registry.alias("default/m0", "champion")
    assert current is not None
    assert current.version == 1


def test_old_news_are_forgotten() -> None:
    place = Place()
    place.move("m0")
    place.clock.advance(86400.0)
    place.move("m1")
    assert moved.forget(place.store, place.clock() - timedelta(hours=1)) == 1
    assert [entry.model for entry in moved.news(place.store, place.clock() - timedelta(days=9))] == ["m1"]
