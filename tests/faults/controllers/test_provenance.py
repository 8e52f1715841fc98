"""The way of a version's provenance: made by the operator, demanded before a rollout, and not to be forged by a pod."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.provenance.attest import Attester
from slipway.provenance.dsse import load_public_keys
from slipway.provenance.facts import BuildFacts
from slipway.provenance.policy import Policy, problem
from slipway.provenance.verify import verify_claims
from slipway.registry.records import VersionDraft
from tests.fakes.cluster import Ended, JobScript
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import get, model_build, model_deployment, put, ready
from tests.faults.world import Operator, World
from tests.unit.provenance.support import key_pair

MODEL = "default/cancer"


async def settle(world: World, *actions) -> None:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()


def demanding(policy: Policy, pem: str = "") -> World:
    return worlds.world(settings=worlds.SETTINGS.model_copy(update={"verification": policy, "public_keys": pem}))


def cheating(world: World) -> JobScript:
    """A pod that makes believe that it was asked for something else."""

    def work(job) -> None:
        build_id, number = worlds.attempt_of(job)
        key = f"attempts/{build_id.removeprefix('sha256:')}/{number}/request.json"
        world.store.put(key, world.store.get(key).data.replace(b'"C":0.3', b'"C":0.9'))
        worlds.train(world, job)

    return lambda _job: Ended(work=work)


async def test_a_build_is_attested_and_rolls_out_where_provenance_is_demanded() -> None:
    world = demanding(Policy.PROVENANCE)
    await settle(world, put(model_build()), put(model_deployment()))
    record = world.registry().get(MODEL, 1)
    assert problem(verify_claims(world.registry().blobs, record), Policy.PROVENANCE) is None
    deployment = get(world, "ModelDeployment", "cancer")
    assert ready(deployment) == ("True", "Serving")
    pod = world.api.all("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    assert "--verify=provenance" in pod["args"]


async def test_a_build_that_replaces_a_lost_version_is_attested_as_well() -> None:
    world = demanding(Policy.PROVENANCE)
    await settle(world, put(model_build()))
    lost = world.registry().get(MODEL, 1).files[0].digest
    world.store.delete(world.registry().blobs.key(lost))
    world.api.remove("ModelBuild", "default", "cancer")
    world.cluster.settle()
    await settle(world, put(model_build()))
    record = world.registry().get(MODEL, 2)
    assert problem(verify_claims(world.registry().blobs, record), Policy.PROVENANCE) is None


async def test_a_pod_that_rewrites_what_it_was_asked_gets_no_rollout() -> None:
    world = demanding(Policy.PROVENANCE)
    world.cluster.jobs = cheating(world)
    await settle(world, put(model_build()), put(model_deployment()))
    deployment = get(world, "ModelDeployment", "cancer")
    assert ready(deployment) == ("False", "NotVerified")
    assert world.api.all("Deployment") == []


async def test_what_serves_already_serves_on_when_the_next_version_proves_nothing() -> None:
    world = demanding(Policy.PROVENANCE)
    await settle(world, put(model_build()), put(model_deployment()))

    def by_hand(world: World) -> None:
        registry = world.registry()
        stored = registry.blobs.put_bytes(b"by hand", path="model.onnx")
        draft = VersionDraft(model=MODEL, build_id="sha256:" + "9" * 64, reason="test", files=(stored,), format="onnx")
        record = registry.register(draft)
        registry.move_alias(MODEL, "champion", record.version, by="eve")

    await settle(world, by_hand)
    deployment = get(world, "ModelDeployment", "cancer")
    ready_condition = next(c for c in deployment["status"]["conditions"] if c["type"] == "Ready")
    assert ready_condition["reason"] == "NotVerified"
    assert "version 2 is not rolled out" in ready_condition["message"]
    assert "version 1 serves on" in ready_condition["message"]
    assert deployment["status"]["stable"]["version"] == 1


@pytest.mark.parametrize("trusted", [True, False])
async def test_only_what_a_trusted_key_has_signed_rolls_out(tmp_path: Path, trusted: bool) -> None:
    ours, other = key_pair(tmp_path), key_pair(tmp_path, "other")
    world = demanding(Policy.SIGNED, ours.pem if trusted else other.pem)

    def signed(world: World) -> None:
        registry = world.registry()
        stored = registry.blobs.put_bytes(b"model", path="model.onnx")
        draft = VersionDraft(model=MODEL, build_id="sha256:" + "9" * 64, reason="test", files=(stored,), format="onnx")
        facts = BuildFacts(checked=True)
        record = registry.register(Attester(ours.private).attest(draft, facts, registry.blobs))
        assert load_public_keys(ours.pem)
        registry.move_alias(MODEL, "champion", record.version, by="ann")

    await settle(world, signed, put(model_deployment()))
    expected = ("True", "Serving") if trusted else ("False", "NotVerified")
    assert ready(get(world, "ModelDeployment", "cancer")) == expected
    if trusted:  # the pod checks once more when it loads, with the same keys
        pod = world.api.all("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
        assert "--verify=signed" in pod["args"]
        assert {"name": "SLIPWAY_PUBLIC_KEYS", "value": ours.pem} in pod["env"]
