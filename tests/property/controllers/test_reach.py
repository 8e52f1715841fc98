"""Where a resource comes to depends on what is wished now, not on the way there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from slipway.api import conditions
from slipway.controllers.app_build import observe as looking_for_images
from slipway.kube.port import Object
from tests.faults import normal
from tests.faults.controllers import worlds
from tests.faults.controllers.test_model_deployment import publish
from tests.faults.world import World
from tests.property.controllers import lives

KINDS = sorted(lives.SPECS)
FEW = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
"""An example is a whole life: few of them, and none to make a failing one smaller."""


@pytest.fixture(autouse=True)
def images_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No image registry is asked."""
    monkeypatch.setattr(looking_for_images, "exists", lambda image, insecure: True)


def begin(kind: str) -> World:
    world = lives.world(kind)
    if kind == "ModelDeployment":
        publish(1)(world)
        publish(2)(world)
    return world


async def lived(kind: str, *specs: Any) -> World:
    world = begin(kind)
    for spec in specs:
        worlds.put(lives.manifest(kind, spec))(world)
        await lives.rest(world)
    return world


def resource(world: World, kind: str) -> Object:
    return worlds.get(world, kind, lives.NAMES[kind])


def outcome(world: World, kind: str) -> dict[str, Any]:
    """What a user is after: the condition, what came out, and what runs for it now. History and numbers of versions tell
    of the way and are left out."""
    found = resource(world, kind)
    status = found["status"]
    seen: dict[str, Any] = {"ready": worlds.ready(found)}
    if kind == "ModelDeployment":
        seen["serves"] = status.get("stable", {}).get("version")
        seen["children"] = [
            {name: part for name, part in each.items() if name in ("kind", "spec")}
            for each in normal.objects(world.api, ("Event", "Pod")).values()
            if each["kind"] in ("Deployment", "Service")
        ]
    if kind == "ModelBuild":
        seen["build"] = status["build"]["id"]
        seen["metrics"] = status.get("version", {}).get("metrics")
    if kind == "FeatureView":
        seen["definition"] = status["revision"]["digest"]
    if kind == "AppBuild":
        seen["image"] = status.get("image")
    return seen


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(data=st.data())
def test_the_way_does_not_matter(kind: str, data: st.DataObject) -> None:
    first, then = data.draw(lives.SPECS[kind]), data.draw(lives.SPECS[kind])
    if kind == "ModelBuild":  # what a gate compares with, and who approved, is the past
        for spec in (first, then):
            spec.pop("evaluation", None)
            spec.pop("promotion", None)
    changed = asyncio.run(lived(kind, first, then))
    fresh = asyncio.run(lived(kind, then))
    assert outcome(changed, kind) == outcome(fresh, kind)


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(data=st.data())
def test_a_wish_that_cannot_be_met_is_got_over(kind: str, data: st.DataObject) -> None:
    """And does no harm in the meantime: nothing that was made before is lost."""
    wish = data.draw(lives.SPECS[kind])
    plain = asyncio.run(lived(kind, wish))
    world = asyncio.run(lived(kind, wish, lives.MISSING[kind]))
    status = resource(world, kind)["status"]
    ready = worlds.ready(resource(world, kind))
    assert ready[0] == "False"
    assert ready[1] != conditions.INTERNAL_ERROR
    if kind == "ModelDeployment":
        assert status["stable"]["version"] == outcome(plain, kind)["serves"], "it serves on"
    worlds.put(lives.manifest(kind, wish))(world)
    asyncio.run(lives.rest(world))
    assert outcome(world, kind) == outcome(plain, kind)


@pytest.mark.parametrize("kind", KINDS)
@settings(FEW, max_examples=25)
@given(data=st.data())
def test_whatever_is_in_a_spec_a_condition_answers_it(kind: str, data: st.DataObject) -> None:
    """The schema would refuse most of these. The operator must not rely on it: a CRD may be older than the operator."""
    spec = data.draw(lives.spoiled(kind))
    world = asyncio.run(lived(kind, spec))
    status, reason = worlds.ready(resource(world, kind))
    assert reason != conditions.INTERNAL_ERROR, resource(world, kind)["status"]["conditions"]
    assert reason in conditions.REASONS
    if status == "False":
        assert resource(world, kind)["status"]["conditions"][0]["message"], "a reason and no word for a person"
