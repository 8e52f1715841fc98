"""Builds whose inputs are features, on the in-memory API server: pinned, begun again by new rows, the same after faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from slipway.features.definitions import parse
from slipway.features.records import SnapshotDraft, ViewPin
from slipway.features.snapshots import Snapshots
from slipway.features.views import Views
from slipway.kube.port import Object
from slipway.registry.names import ModelName
from slipway.training.contract import BuildRequest
from tests.fakes.cluster import Running
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import get, model_build, put, ready
from tests.faults.sweep import Scenario, crashes, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World

LOG = "features/default/visits/table/_delta_log/"
ENTITIES = {"uri": "s3://data/train.parquet"}
WATCHED = {"onInputChange": True, "debounceSeconds": 0}


def build_world() -> World:
    return worlds.world("ModelBuild")


def view(**changes: Any) -> Callable[[World], None]:
    document = {"name": "visits", "entities": [{"name": "user"}], "features": [{"name": "pages", "type": "int64"}], **changes}

    def action(world: World) -> None:
        Views(world.store).apply("default", parse(document), by="me", writer="w", now=world.clock)

    return action


def rows(version: int) -> Callable[[World], None]:
    """A commit of the view's table, as Delta Lake writes it."""

    def action(world: World) -> None:
        world.store.put(f"{LOG}{version:020d}.json", b"{}")

    action.__name__ = f"rows {version}"
    return action


def checkpoint(version: int) -> Callable[[World], None]:
    def action(world: World) -> None:
        world.store.put(f"{LOG}_last_checkpoint", json.dumps({"version": version}).encode())

    return action


def snapshot(content: bytes) -> Callable[[World], None]:
    def action(world: World) -> None:
        entry = world.registry().blobs.put_bytes(content, path="data.parquet")
        pin = ViewPin(view="default/visits", revision=1, definition=f"sha256:{'1' * 64}", table_version=3)
        draft = SnapshotDraft(
            namespace="default",
            name="churn",
            as_of="EntityTime",
            files=(entry,),
            rows=3,
            columns={"pages": "int64"},
            views=(pin,),
        )
        Snapshots(world.store, ModelName("default", "churn")).freeze(draft, by="me", writer="w", now=world.clock)

    return action


def of_view(**changes: Any) -> Object:
    features = {"name": "visits", "entities": ENTITIES, **changes}
    return model_build(inputs=[{"name": "train", "featureView": features}], triggers=WATCHED)


def of_snapshot(**changes: Any) -> Object:
    return model_build(inputs=[{"name": "train", "featureSnapshot": {"name": "churn", **changes}}], triggers=WATCHED)


def nothing(_world: World) -> None:
    """Time goes on."""


async def settle(world: World, *actions: Callable[[World], None]) -> Object:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return get(world, "ModelBuild", "cancer")


def asked(world: World) -> BuildRequest:
    """What the pod of the present build was asked."""
    build = get(world, "ModelBuild", "cancer")["status"]["build"]
    request = world.registry().read_request(build["id"], build["attempt"], BuildRequest)
    assert request is not None
    return request


async def test_a_build_pins_definition_and_table_version() -> None:
    world = build_world()
    build = await settle(world, view(), rows(0), rows(1), put(of_view(asOf="2026-10-01T00:00:00Z")))
    assert ready(build) == ("True", "Promoted")
    (entry,) = asked(world).inputs
    assert entry.features is not None
    (pin,) = entry.features.views
    assert (pin.view, pin.revision, pin.table_version, pin.features) == ("default/visits", 1, 1, ("pages",))
    assert entry.features.as_of == "2026-10-01T00:00:00Z"
    assert entry.features.entities is not None
    assert entry.uri == "features://default/visits"


async def test_new_rows_start_a_build_and_words_for_people_do_not() -> None:
    world = build_world()
    await settle(world, view(), rows(0), put(of_view()))
    build = await settle(world, view(description="seen on that day"))
    assert world.registry().latest("default/cancer") == 1
    build = await settle(world, rows(1))
    assert world.registry().latest("default/cancer") == 2
    assert build["status"]["build"]["reason"] == "InputChanged"
    await settle(world, view(features=[{"name": "pages", "type": "int64"}, {"name": "clicks", "type": "int64"}]))
    assert world.registry().latest("default/cancer") == 3


async def test_a_log_that_was_cut_short_tells_its_version() -> None:
    world = build_world()
    await settle(world, view(), rows(18), rows(20), checkpoint(20), put(of_view()))
    assert asked(world).inputs[0].features.views[0].table_version == 20  # type: ignore[union-attr]
    await settle(world, rows(21))
    assert asked(world).inputs[0].features.views[0].table_version == 21  # type: ignore[union-attr]


async def test_a_new_snapshot_starts_a_build_and_a_pinned_one_does_not() -> None:
    world = build_world()
    await settle(world, snapshot(b"one"), put(of_snapshot()))
    build = await settle(world, snapshot(b"two"))
    assert build["status"]["build"]["reason"] == "InputChanged"
    assert world.registry().latest("default/cancer") == 2
    assert asked(world).inputs[0].uri == "features://default/churn:2"
    build = await settle(world, put(of_snapshot(number=1)))
    assert build["status"]["version"]["number"] == 1, "the same snapshot is the same build"
    await settle(world, snapshot(b"three"))
    assert world.registry().latest("default/cancer") == 2


async def test_what_is_missing_is_named_and_heals() -> None:
    world = build_world()
    build = await settle(world, put(of_view()))
    assert ready(build) == ("False", "InputMissing")
    assert "visits" in build["status"]["conditions"][0]["message"]
    build = await settle(world, view())
    assert "has no rows yet" in build["status"]["conditions"][0]["message"]
    build = await settle(world, rows(0))
    assert ready(build) == ("True", "Promoted")
    build = await settle(world, put(of_view(name="visits:clicks")))
    assert ready(build) == ("False", "InvalidSpec")
    assert "it has pages" in build["status"]["conditions"][0]["message"]
    build = await settle(world, put(of_snapshot(number=4)))
    assert ready(build) == ("False", "InputMissing")
    assert "churn has no snapshot 4" in build["status"]["conditions"][0]["message"]


async def test_a_view_that_goes_while_a_build_uses_it_does_no_harm() -> None:
    """All that the pod reads is named in its request; what it does with that: tests/unit/training/test_feature_inputs.py."""
    world = build_world()
    scripted, world.cluster.jobs = world.cluster.jobs, lambda _job: Running()
    await settle(world, view(), rows(0), put(of_view()))
    (pin,) = asked(world).inputs[0].features.views  # type: ignore[union-attr]
    for info in list(world.store.list("features/")):
        world.store.delete(info.key)
    build = await settle(world, nothing)
    assert ready(build) == ("False", "Building"), "what runs is left alone"
    assert len(world.api.all("Job")) == 1
    world.cluster.jobs = scripted
    build = await settle(world, nothing)
    assert ready(build) == ("True", "Promoted")
    assert asked(world).inputs[0].features.views == (pin,)  # type: ignore[union-attr]


def _prepared() -> World:
    world = build_world()
    view()(world)
    rows(0)(world)
    return world


LIFE = Scenario("features that change", _prepared, (put(of_view()), rows(1)))


async def test_new_rows_whatever_fails() -> None:
    report = await sweep(LIFE, (crashes, stale_reads, store_errors), limit=10)
    assert report.ok, report
