"""ModelBuild on the in-memory API server: what a user sees, and the same after every crash, stale read and error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from slipway.kube.port import Object
from slipway.training import contract
from tests.fakes.cluster import Ended, Running
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import config_map, delete, get, in_turn, model_build, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World

MODEL = "default/cancer"


def build_world() -> World:
    return worlds.world("ModelBuild")


async def settle(world: World, *actions) -> dict:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return get(world, "ModelBuild", "cancer")


LIFE = Scenario(
    "model build",
    build_world,
    (
        put(model_build()),
        put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.5}})),
        put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.3}})),
        put(config_map("code", {"train.py": "def main(run): run\n"})),
        delete("ModelBuild", "cancer"),
    ),
    budget=26,
    leaves_nothing=True,
)


def hold(world: World) -> None:
    """Pods train on and on."""
    world.cluster.jobs = lambda job: Running()


def release(world: World) -> None:
    """Pods come to their end."""
    world.cluster.jobs = worlds.pods(world)


MIDWAY = Scenario(
    "model build, interrupted by its user",
    build_world,
    (
        in_turn(hold, put(model_build())),
        put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.5}})),
        release,
        in_turn(hold, put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.7}}))),
        delete("ModelBuild", "cancer"),
    ),
    budget=24,
    leaves_nothing=True,
)
"""Changed while it trains, and deleted while it trains: nobody waits for what is no longer wanted."""
LIVES = {life.name: life for life in (LIFE, MIDWAY)}


@pytest.mark.parametrize("life", LIVES)
async def test_every_crash_ends_in_the_same_state(life: str) -> None:
    report = await sweep(LIVES[life], (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events])
@pytest.mark.parametrize("life", LIVES)
async def test_every_other_fault_ends_in_the_same_state(life: str, fault: Callable[..., object]) -> None:
    report = await sweep(LIVES[life], (fault,), limit=worlds.points_of_a_kind())
    print(report)
    assert report.ok, report


async def test_a_build_gives_a_version_and_moves_the_alias() -> None:
    world = build_world()
    build = await settle(world, put(model_build()))
    assert ready(build) == ("True", "Promoted")
    assert build["status"]["version"]["number"] == 1
    assert build["status"]["version"]["promotedTo"] == "champion"
    assert build["status"]["build"]["reason"] == "FirstBuild"
    registry = world.registry()
    assert registry.resolve("default/cancer@champion").version == 1
    assert [c["type"] for c in build["status"]["conditions"]] == ["Ready"]


async def test_one_lifecycle_takes_at_most_eight_writes() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    writes = [call for call in world.api.calls if call.write]
    assert len(writes) <= 8, [str(call) for call in writes]


async def test_the_same_build_is_never_made_twice() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    await settle(world, put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.5}})))
    build = await settle(world, put(model_build()))
    assert build["status"]["version"]["number"] == 1
    assert build["status"]["build"]["reason"] == "CacheHit"
    assert len(world.api.all("Job")) == 2
    assert world.registry().resolve("default/cancer@champion").version == 1


async def test_lost_blobs_are_no_cache_hit() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    record = world.registry().get(MODEL, 1)
    hex_digest = record.files[0].digest.removeprefix("sha256:")
    world.store.delete(f"blobs/sha256/{hex_digest[:2]}/{hex_digest}")
    world.api.remove("ModelBuild", "default", "cancer")
    world.cluster.settle()
    build = await settle(world, put(model_build()))
    assert build["status"]["version"]["number"] == 2
    assert world.registry().missing_blobs(world.registry().get(MODEL, 2)) == []


async def test_a_word_forces_a_build() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    forced = model_build()
    forced["metadata"]["annotations"] = {"slipway.dev/rebuild": "now"}
    build = await settle(world, put(forced))
    assert build["status"]["build"]["reason"] == "Forced"
    assert build["status"]["version"]["number"] == 2


async def test_changed_gates_build_nothing_again() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    strict = model_build(evaluation={"gates": [{"metric": "auc", "min": 0.99}]})
    build = await settle(world, put(strict))
    assert len(world.api.all("Job")) == 1
    assert ready(build) == ("True", "Promoted"), "it was promoted under the gates of then"
    assert build["status"]["version"]["gates"][0]["passed"] is False


async def test_a_failed_gate_registers_but_does_not_promote() -> None:
    world = build_world()
    build = await settle(world, put(model_build(evaluation={"gates": [{"metric": "auc", "min": 0.99}]})))
    assert ready(build) == ("False", "GateFailed")
    assert build["status"]["version"]["number"] == 1
    assert "auc 0.95 < 0.99" in build["status"]["conditions"][0]["message"]
    assert world.registry().alias(MODEL, "champion") is None


async def test_a_missing_metric_is_named_with_those_that_there_are() -> None:
    world = build_world()
    build = await settle(world, put(model_build(evaluation={"gates": [{"metric": "roc", "min": 0.9}]})))
    assert ready(build) == ("False", "MetricMissing")
    assert "logged: auc" in build["status"]["conditions"][0]["message"]


async def test_no_worse_than_compares_with_the_champion_of_before() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    world.cluster.jobs = worlds.pods(world, auc=0.94)
    gates = {"gates": [{"metric": "auc", "noWorseThan": "champion", "tolerance": 0.005}]}
    other = {"entrypoint": "train:main", "params": {"C": 9}}
    build = await settle(world, put(model_build(evaluation=gates, trainer=other)))
    assert ready(build) == ("False", "GateFailed")
    assert world.registry().resolve("default/cancer@champion").version == 1
    world.cluster.jobs = worlds.pods(world, auc=0.946)
    build = await settle(world, put(model_build(evaluation=gates, trainer={"entrypoint": "train:main", "params": {"C": 10}})))
    assert ready(build) == ("True", "Promoted")


async def test_manual_promotion_waits_and_records_who() -> None:
    world = build_world()
    manual = model_build(promotion={"alias": "champion", "approval": "Manual"})
    build = await settle(world, put(manual))
    assert ready(build) == ("True", "AwaitingApproval")
    assert world.registry().alias(MODEL, "champion") is None
    manual["metadata"]["annotations"] = {"slipway.dev/approve": '{"version": 2, "by": "ann"}'}
    build = await settle(world, put(manual))
    assert world.registry().alias(MODEL, "champion") is None, "an approval of another version approves nothing"
    manual["metadata"]["annotations"] = {"slipway.dev/approve": '{"version": 1, "by": "ann", "reason": "looks right"}'}
    build = await settle(world, put(manual))
    assert ready(build) == ("True", "Promoted")
    move = world.registry().alias(MODEL, "champion")
    assert move.version == 1
    assert move.by == "ann"
    assert "looks right" in move.reason
    assert build["status"]["version"]["approval"]["approvedBy"] == "ann"


def manual(annotations: dict[str, str] | None = None, **promotion: Any) -> Object:
    made = model_build(promotion={"alias": "champion", "approval": "Manual"} | promotion)
    made["metadata"]["annotations"] = annotations or {}
    return made


def said(word: str, by: str, reason: str = "", version: int = 1) -> dict[str, str]:
    return {f"slipway.dev/{word}": json.dumps({"version": version, "by": by, "reason": reason})}


async def test_a_refusal_stands_whatever_is_said_later() -> None:
    world = build_world()
    build = await settle(world, put(manual()), put(manual(said("refuse", "ann", "worse on the newest month"))))
    assert ready(build) == ("False", "PromotionRefused")
    assert "refused by ann: worse on the newest month" in build["status"]["conditions"][0]["message"]
    assert build["status"]["version"]["approval"]["refusedBy"] == "ann"
    build = await settle(world, put(manual(said("refuse", "bob") | said("approve", "bob"))))
    assert build["status"]["version"]["approval"]["refusedBy"] == "ann"
    await settle(world, delete_and_forget)
    build = await settle(world, put(manual(said("approve", "bob"))))
    assert ready(build) == ("False", "PromotionRefused"), "a resource made anew finds it"
    assert world.registry().alias(MODEL, "champion") is None
    (kept,) = world.registry().refusals(MODEL, "champion")
    assert (kept.version, kept.by, kept.reason, kept.expired) == (1, "ann", "worse on the newest month", False)


def delete_and_forget(world: World) -> None:
    world.api.remove("ModelBuild", "default", "cancer")
    world.cluster.settle()
    world.api.make(manual())


async def test_a_refusal_of_another_version_refuses_nothing_and_the_next_version_waits_anew() -> None:
    world = build_world()
    build = await settle(world, put(manual(said("refuse", "ann", version=2))))
    assert ready(build) == ("True", "AwaitingApproval")
    build = await settle(world, put(manual(said("refuse", "ann"))))
    assert ready(build) == ("False", "PromotionRefused")
    other = manual(said("refuse", "ann"))
    other["spec"]["trainer"]["params"] = {"C": 0.9}
    build = await settle(world, put(other))
    assert (ready(build), build["status"]["version"]["number"]) == (("True", "AwaitingApproval"), 2)


async def test_a_version_that_nobody_approves_in_time_is_not_promoted_any_more() -> None:
    world = build_world()
    world.patience = 60.0
    build = await settle(world, put(manual(approvalDeadlineSeconds=3600)))
    assert ready(build) == ("True", "AwaitingApproval")
    assert build["status"]["version"]["approval"]["expiresAt"] > build["status"]["version"]["approval"]["waitingSince"]
    world.clock.advance(3700)
    build = await settle(world, nothing)
    assert ready(build) == ("False", "ApprovalExpired")
    assert "within 3600 s" in build["status"]["conditions"][0]["message"]
    build = await settle(world, put(manual(said("approve", "ann"), approvalDeadlineSeconds=3600)))
    assert ready(build) == ("False", "ApprovalExpired"), "too late"
    (kept,) = world.registry().refusals(MODEL, "champion")
    assert (kept.expired, kept.by) == (True, "ModelBuild default/cancer")


async def test_the_operator_looks_again_when_an_approval_expires() -> None:
    world = build_world()
    world.resync, world.patience = 86400.0, 4000.0
    build = await settle(world, put(manual(approvalDeadlineSeconds=3600)))
    assert ready(build) == ("False", "ApprovalExpired"), "without an event, and long before the resync"


async def test_an_approval_that_came_while_the_operator_was_down_counts() -> None:
    world = build_world()
    world.patience = 60.0
    await settle(world, put(manual(approvalDeadlineSeconds=3600)))
    world.clock.advance(86400)
    build = await settle(world, put(manual(said("approve", "ann"), approvalDeadlineSeconds=3600)))
    assert ready(build) == ("True", "Promoted")


async def test_a_version_that_failed_its_gates_does_not_expire() -> None:
    world = build_world()
    made = manual(approvalDeadlineSeconds=60)
    made["spec"]["evaluation"] = {"gates": [{"metric": "auc", "min": 0.99}]}
    build = await settle(world, put(made))
    world.clock.advance(600)
    build = await settle(world, nothing)
    assert ready(build) == ("False", "GateFailed")
    assert "expiresAt" not in build["status"]["version"]["approval"]


def nothing(_world: World) -> None:
    return None


async def test_every_crash_while_a_promotion_is_refused_or_expires_ends_in_the_same_state() -> None:
    def later(world: World) -> None:
        world.clock.advance(100)

    def one_more(**trainer: Any) -> Object:
        made = manual(said("refuse", "ann"), approvalDeadlineSeconds=90)
        made["spec"]["trainer"]["params"] = trainer
        return made

    life = Scenario(
        "refusals",
        build_world,
        (put(manual()), put(manual(said("refuse", "ann"))), put(one_more(C=0.7)), later, delete("ModelBuild", "cancer")),
        budget=20,
    )
    report = await sweep(life, (crashes,))
    print(report)
    assert report.ok, report


async def test_a_rollback_by_a_person_is_not_undone() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    await settle(world, put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 0.5}})))
    world.registry().move_alias(MODEL, "champion", 1, by="ann", reason="rollback")
    await settle(world, lambda w: None)
    gates = model_build(evaluation={"gates": []}, trainer={"entrypoint": "train:main", "params": {"C": 0.5}})
    await settle(world, put(gates))
    assert world.registry().resolve("default/cancer@champion").version == 1


@pytest.mark.parametrize(
    ("reason", "attempts"),
    [(contract.TRAINING_FAILED, 3), (contract.NO_MODEL, 1), (contract.FORMAT_REFUSED, 1), (contract.ENTRYPOINT_INVALID, 1)],
)
async def test_only_what_may_pass_is_tried_again(reason: str, attempts: int) -> None:
    world = build_world()
    world.cluster.jobs = worlds.fail(world, reason)
    build = await settle(world, put(model_build()))
    assert ready(build) == ("False", reason)
    assert len(world.api.all("Job")) == attempts
    assert build["status"]["build"]["outcome"] == "Failed"
    assert build["status"]["history"][0]["attempts"] == attempts
    assert world.registry().latest(MODEL) == 0


@pytest.mark.parametrize("reason", [contract.STORE_UNAVAILABLE, contract.INPUT_MISSING])
async def test_what_heals_by_itself_is_never_given_up(reason: str) -> None:
    world = build_world()
    failing, tries = worlds.fail(world, reason), []

    def script(job: dict) -> Ended:
        tries.append(job["metadata"]["name"])
        return failing(job) if len(tries) < 6 else worlds.pods(world)(job)

    world.cluster.jobs = script
    world.patience = 1000.0
    build = await settle(world, put(model_build(retry={"limit": 1, "backoffSeconds": 1})))
    assert len(tries) == 6
    assert ready(build) == ("True", "Promoted")


async def test_a_killed_pod_keeps_its_log_and_its_reason() -> None:
    world = build_world()
    world.cluster.jobs = lambda job: Ended(exit_code=137, reason="OOMKilled", log=b"epoch 1\nepoch 2\n")
    build = await settle(world, put(model_build(retry={"limit": 0})))
    assert ready(build) == ("False", "OutOfMemory")
    result = world.registry().read_attempt(build["status"]["build"]["id"], 1)
    assert result.reason == "OutOfMemory"
    assert world.registry().blobs.read(result.logs[0].digest) == b"epoch 1\nepoch 2\n"


async def test_a_finished_build_is_terminal_when_its_job_is_gone() -> None:
    world = build_world()
    await settle(world, put(model_build()))
    for job in world.api.all("Job"):
        world.api.remove("Job", "default", job["metadata"]["name"])
    build = await settle(world, lambda w: None)
    assert ready(build) == ("True", "Promoted")
    assert world.api.all("Job") == []


async def test_a_job_deleted_in_the_middle_is_tried_again() -> None:
    world = build_world()
    world.cluster.jobs = lambda job: Running()
    put(model_build())(world)
    await Operator(world).round()
    world.cluster.settle()
    job = world.api.all("Job")[0]
    world.api.remove("Job", "default", job["metadata"]["name"])
    world.cluster.jobs = worlds.pods(world)
    build = await settle(world, lambda w: None)
    assert ready(build) == ("True", "Promoted")
    assert build["status"]["build"]["attempt"] == 2


async def test_a_new_spec_ends_the_job_of_the_old_one() -> None:
    world = build_world()
    world.cluster.jobs = lambda job: Running()
    put(model_build())(world)
    await Operator(world).round()
    world.cluster.settle()
    world.cluster.jobs = worlds.pods(world)
    build = await settle(world, put(model_build(trainer={"entrypoint": "train:main", "params": {"C": 7}})))
    assert ready(build) == ("True", "Promoted")
    assert len(world.api.all("Job")) == 1
    assert world.registry().latest(MODEL) == 1


async def test_suspend_starts_nothing_and_resumes() -> None:
    world = build_world()
    build = await settle(world, put(model_build(suspend=True)))
    assert ready(build) == ("False", "Suspended")
    assert world.api.all("Job") == []
    build = await settle(world, put(model_build()))
    assert ready(build) == ("True", "Promoted")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"source": {"configMap": {"name": "nope"}}}, "SourceMissing", "nope"),
        ({"source": {"s3": {"uri": "s3://data/code.tgz"}}}, "SourceMissing", "s3://data/code.tgz"),
        ({"inputs": [{"name": "train", "s3": {"uri": "s3://data/none.parquet"}}]}, "InputMissing", "input train"),
        ({"trainer": {"entrypoint": "train:main", "params": {"C": [1, 2]}}}, "InvalidParams", "trainer.params.C"),
    ],
)
async def test_what_is_missing_or_wrong_is_named(spec: dict, reason: str, words: str) -> None:
    world = build_world()
    build = await settle(world, put(model_build(**spec)))
    assert ready(build) == ("False", reason)
    assert words in build["status"]["conditions"][0]["message"]
    assert world.api.all("Job") == []


async def test_a_missing_source_heals_when_it_appears() -> None:
    world = build_world()
    await settle(world, put(model_build(source={"configMap": {"name": "later"}})))
    build = await settle(world, lambda w: w.api.make(config_map("later", worlds.CODE)))
    assert ready(build) == ("True", "Promoted")
