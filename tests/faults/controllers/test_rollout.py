"""Roll-outs on the in-memory API server: what a user sees of a canary, its gates, the watch and the way back."""

from __future__ import annotations

import json
from typing import Any

from slipway.api.common import ANNOTATION_APPROVE, Approval
from slipway.api.rollout import ANNOTATION_ROLLOUT
from slipway.kube.port import Object
from slipway.storage.port import Unavailable
from tests.fakes.cluster import Serving, Waiting
from tests.fakes.scraper import Behaviour
from tests.faults.controllers.deployments import REVISION, deployment_world, publish, revisions, selected, settle
from tests.faults.controllers.worlds import get, model_deployment, put, ready
from tests.faults.world import Operator, World

ERRORS = {"name": "errors", "errorRate": {"max": 0.05}, "window": "60s", "minRequests": 20}
STEPS = [{"weight": 25, "hold": "30s"}, {"weight": 50, "hold": "30s"}]


def canary(replicas: int = 3, annotations: dict[str, str] | None = None, **rollout: Any) -> Object:
    found = model_deployment(replicas=replicas, rollout={"strategy": "Canary", "steps": STEPS, "gates": [ERRORS]} | rollout)
    found["metadata"]["annotations"] = annotations or {}
    return found


def behave(world: World, **by_version: Behaviour | None) -> None:
    """Pods of version 2 behave as ``v2=`` says; others well; None: they cannot be read."""

    def script(pod: Object) -> Behaviour | None:
        args = pod["spec"]["containers"][0]["args"]
        number = next(arg for arg in args if arg.startswith("--model=")).rpartition(":")[2]
        return by_version.get(f"v{number}", Behaviour())

    world.scraper.script = script


async def served(world: World, manifest: Object) -> Object:
    """Version 1 serves."""
    publish(1)(world)
    return await settle(world, put(manifest))


async def until(world: World, seconds: float = 200.0, reason: str = "", **wanted: Any) -> Object:
    """Runs until status.candidate shows `wanted` and Ready has `reason`, at most so many seconds of the world's time."""
    operator, end = Operator(world), world.clock.monotonic() + seconds
    while world.clock.monotonic() < end:
        await operator.round()
        world.cluster.settle()
        found = get(world, "ModelDeployment", "cancer")
        candidate = found.get("status", {}).get("candidate", {})
        if all(candidate.get(key) == value for key, value in wanted.items()) and reason in ("", ready(found)[1]):
            return found
        world.clock.advance(1.0)
    raise AssertionError(f"never {wanted}: {get(world, 'ModelDeployment', 'cancer')['status']}")


async def test_a_good_candidate_goes_step_by_step_and_takes_over() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    publish(2)(world)
    found = await until(world, step=0)
    candidate = found["status"]["candidate"]["revision"]
    counts = {name: d["spec"]["replicas"] for name, d in revisions(world).items()}
    assert counts == {first: 3, candidate: 1}
    assert REVISION not in get(world, "Service", "cancer")["spec"]["selector"], "both revisions answer"
    assert ready(found) == ("False", "CandidateProgressing")
    found = await until(world, step=1)
    assert revisions(world)[candidate]["spec"]["replicas"] == 3
    assert found["status"]["candidate"]["gates"][0]["verdict"] == "Pass"
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2
    assert selected(world) == candidate
    assert ready(found) == ("True", "Serving")
    assert found["status"]["history"][0]["version"] == 1


async def test_a_weight_that_two_replicas_cannot_meet_is_said_to_be_another() -> None:
    world = deployment_world()
    await served(world, canary(replicas=2, steps=[{"weight": 5, "hold": "1h"}]))
    publish(2)(world)
    await until(world, step=0, weight=5)
    await Operator(world).round()
    message = get(world, "ModelDeployment", "cancer")["status"]["conditions"][0]["message"]
    assert "1 of 3 pods: about 33 % of the requests" in message


async def test_no_request_goes_to_a_candidate_that_is_not_ready() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    world.cluster.deployments = lambda d: Serving() if d["metadata"]["labels"][REVISION] == first else Serving(ready=0)
    publish(2)(world)
    for _ in range(5):
        await Operator(world).round()
        world.cluster.settle()
        assert selected(world) == first
    assert "step" not in get(world, "ModelDeployment", "cancer")["status"]["candidate"]


async def test_a_bad_candidate_is_at_nothing_within_a_gate_interval_and_held() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    behave(world, v2=Behaviour(errors=0.5))
    publish(2)(world)
    found = await until(world, step=0)
    began = world.clock.monotonic()
    while get(world, "Service", "cancer")["spec"]["selector"].get(REVISION) != first:
        await Operator(world).round()
        world.cluster.settle()
        world.clock.advance(1.0)
        assert world.clock.monotonic() - began <= 15.0, "one gate interval and 5 s"
    found = await settle(world, lambda w: None)
    assert ready(found) == ("False", "GateFailed")
    assert found["status"]["held"]["version"] == 2
    assert "error rate" in found["status"]["held"]["message"]
    assert "requests" in found["status"]["held"]["message"]
    assert list(revisions(world)) == [first]
    assert "candidate" not in found["status"]
    found = await settle(world, publish(3))
    assert found["status"]["stable"]["version"] == 3


async def test_a_candidate_that_breaks_down_on_the_way_is_taken_back() -> None:
    """At a quarter it is fine; the pods of the second half crash, of which the Deployment's Progressing condition says nothing."""
    world = deployment_world()
    found = await served(world, canary(replicas=4))
    first = found["status"]["stable"]["revision"]

    def script(deployment: Object) -> Serving:
        good = deployment["metadata"]["labels"][REVISION] == first
        return Serving() if good else Serving(ready=2, waiting=Waiting("CrashLoopBackOff"), restarts=3, message="out of memory")

    world.cluster.deployments = script
    publish(2)(world)
    await until(world, step=1)
    found = await settle(world, lambda w: None)
    assert ready(found) == ("False", "CandidateFailed")
    assert found["status"]["held"]["version"] == 2
    assert "out of memory" in found["status"]["held"]["message"]
    assert selected(world) == first
    assert list(revisions(world)) == [first]


async def test_a_slow_candidate_is_taken_back() -> None:
    world = deployment_world()
    latency = {"name": "latency", "latency": {"quantile": 0.99, "maxMilliseconds": 50}, "minRequests": 20}
    await served(world, canary(gates=[latency]))
    behave(world, v2=Behaviour(latency=0.4))
    found = await settle(world, publish(2))
    assert ready(found) == ("False", "GateFailed")
    assert "latency p99" in found["status"]["held"]["message"]


async def test_without_requests_it_waits_and_says_for_what() -> None:
    world = deployment_world()
    await served(world, canary())
    behave(world, v2=Behaviour(rate=0.0))
    found = await settle(world, publish(2))
    assert ready(found) == ("False", "CandidateProgressing")
    assert "no request in the window" in found["status"]["conditions"][0]["message"]
    assert found["status"]["candidate"]["step"] == 0
    behave(world)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2


async def test_pods_that_cannot_be_read_are_no_data_and_not_zero_errors() -> None:
    world = deployment_world()
    await served(world, canary())
    behave(world, v2=None)
    found = await settle(world, publish(2))
    assert found["status"]["candidate"]["gates"][0]["verdict"] == "NoData"
    assert found["status"]["candidate"]["step"] == 0


async def test_no_data_passes_or_fails_when_the_gate_says_so() -> None:
    world = deployment_world()
    await served(world, canary(gates=[ERRORS | {"onNoData": "Pass"}]))
    behave(world, v2=Behaviour(rate=0.0), v3=Behaviour(rate=0.0))
    found = await settle(world, publish(2))
    assert found["status"]["stable"]["version"] == 2
    slow = [{"weight": 25, "hold": "5m"}]
    found = await settle(world, put(canary(steps=slow, gates=[ERRORS | {"onNoData": "Fail"}])), publish(3))
    assert found["status"]["held"]["version"] == 3
    assert ready(found) == ("False", "GateFailed")


async def test_a_candidate_worse_than_stable_is_taken_back() -> None:
    world = deployment_world()
    gate = {"name": "errors", "errorRate": {}, "compare": {"maxDifference": 0.02}, "minRequests": 20}
    await served(world, canary(gates=[gate]))
    behave(world, v1=Behaviour(errors=0.10), v2=Behaviour(errors=0.11), v3=Behaviour(errors=0.2))
    found = await settle(world, publish(2))
    assert found["status"]["stable"]["version"] == 2, "no worse than the one that serves"
    behave(world, v2=Behaviour(errors=0.10), v3=Behaviour(errors=0.2))
    found = await settle(world, publish(3))
    assert "stable" in found["status"]["held"]["message"]
    assert found["status"]["stable"]["version"] == 2


async def test_a_query_to_prometheus_that_does_not_answer_holds_the_rollout() -> None:
    world = deployment_world()
    gate = {"name": "business", "promql": {"query": "conversions{ns='$namespace'}", "min": 5}}
    await served(world, canary(gates=[gate]))
    found = await settle(world, publish(2))
    assert found["status"]["candidate"]["gates"][0]["verdict"] == "NoData"
    world.scraper.numbers["conversions{ns='default'}"] = 7.0
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2


async def test_one_event_for_each_change_of_a_verdict() -> None:
    world = deployment_world()
    await served(world, canary())
    await settle(world, publish(2))
    notes = [event["note"] for event in world.api.all("Event") if event["reason"] == "GatePassed"]
    assert len(notes) == 1, notes


async def test_a_new_version_in_the_middle_starts_over_with_that_one() -> None:
    world = deployment_world()
    await served(world, canary())
    publish(2)(world)
    await until(world, step=0)
    publish(3)(world)
    found = await until(world, version=3)
    assert found["status"]["candidate"].get("step") in (None, 0)
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 3
    assert [entry["version"] for entry in found["status"]["history"]] == [1], "version 2 never served"


async def test_the_alias_moved_back_in_the_middle_takes_the_candidate_away() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    publish(2)(world)
    await until(world, step=0)
    found = await settle(world, publish(1))
    assert selected(world) == first
    assert "candidate" not in found["status"]
    assert "held" not in found["status"]
    assert list(revisions(world)) == [first]


async def test_a_bad_version_after_the_promotion_is_taken_back_from_warm_pods() -> None:
    world = deployment_world()
    watch = {"for": "30m", "gates": [ERRORS]}
    first = (await served(world, canary(gates=[], steps=[{"weight": 50}], watch=watch)))["status"]["stable"]["revision"]
    publish(2)(world)
    operator = Operator(world)
    while get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] != 2:
        await operator.round()
        world.cluster.settle()
        world.clock.advance(1.0)
    assert revisions(world)[first]["spec"]["replicas"] == 3, "kept warm"
    behave(world, v2=Behaviour(errors=0.9))
    began = world.clock.monotonic()
    while selected(world) != first:
        await Operator(world).round()
        world.clock.advance(1.0)
        assert world.clock.monotonic() - began < 90
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 1
    assert found["status"]["held"]["version"] == 2
    assert ready(found) == ("False", "GateFailed")
    assert found["status"]["history"][0]["version"] == 2
    assert found["status"]["history"][0]["reason"] == "GateFailed"
    assert list(revisions(world)) == [first]


async def test_after_the_warm_window_the_way_back_starts_pods_first() -> None:
    world = deployment_world()
    rollout = {"gates": [], "steps": [{"weight": 50}], "watch": {"for": "4m", "gates": [ERRORS]}, "rollbackWindow": "10s"}
    first = (await served(world, canary(**rollout)))["status"]["stable"]["revision"]
    found = await settle(world, publish(2))
    assert found["status"]["stable"]["version"] == 2
    assert first not in revisions(world), "the watch is over by the time that the world rests"
    publish(3)(world)
    operator = Operator(world)
    while get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] != 3:
        await operator.round()
        world.cluster.settle()
        world.clock.advance(1.0)
    second = found["status"]["stable"]["revision"]
    for _ in range(15):
        await Operator(world).round()
        world.cluster.settle()
        world.clock.advance(1.0)
    assert revisions(world)[second]["spec"]["replicas"] == 0, "no longer warm, but not forgotten"
    behave(world, v3=Behaviour(errors=0.9))
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2
    assert selected(world) == second
    assert found["status"]["held"]["version"] == 3


async def test_a_bad_candidate_is_taken_back_though_the_store_is_gone() -> None:
    world = deployment_world()
    first = (await served(world, canary()))["status"]["stable"]["revision"]
    behave(world, v2=Behaviour(rate=0.0))
    publish(2)(world)
    await until(world, step=0)

    def gone(_call: object) -> None:
        if world.operator_acts:
            raise Unavailable("no answer")

    world.hook_stores(gone, lambda _call: None)
    await Operator(world).round()
    found = get(world, "ModelDeployment", "cancer")
    assert ready(found) == ("False", "StoreUnavailable")
    assert found["status"]["candidate"]["step"] == 0, "it stands still"
    behave(world, v2=Behaviour(errors=0.5))
    for _ in range(40):
        await Operator(world).round()
        world.clock.advance(1.0)
    assert selected(world) == first
    assert get(world, "ModelDeployment", "cancer")["status"]["held"]["version"] == 2
    world.hook_stores(lambda _call: None, lambda _call: None)
    await settle(world, lambda w: None)
    assert list(revisions(world)) == [first]
    assert [pin.versions for pin in world.registry().pins()] == [("default/cancer:1",)]


async def test_a_step_waits_for_a_person_whose_name_is_kept() -> None:
    world = deployment_world()
    steps = [{"weight": 25}, {"weight": 50, "approval": "Manual"}]
    await served(world, canary(steps=steps))
    publish(2)(world)
    found = await until(world, reason="WaitingForApproval")
    assert "slipway approve cancer" in found["status"]["conditions"][0]["message"]
    said = {ANNOTATION_APPROVE: Approval(version=2, by="ann", reason="fine", step=1).to_annotation()}
    put(canary(steps=steps, annotations=said))(world)
    found = await until(world, step=1)
    (approval,) = found["status"]["candidate"]["approvals"]
    assert (approval["step"], approval["by"], approval["reason"]) == (1, "ann", "fine")
    found = await settle(world, lambda w: None)
    assert found["status"]["stable"]["version"] == 2


async def test_pause_promote_abort_and_retry() -> None:
    world = deployment_world()

    def order(action: str, step: int | None = None) -> dict[str, str]:
        status = get(world, "ModelDeployment", "cancer")["status"]
        about = status["held"] if action == "retry" else status["candidate"]
        said = {"action": action, "revision": about["revision"], "since": about["since"], "by": "ann", "step": step}
        return {ANNOTATION_ROLLOUT: json.dumps(said)}

    first = (await served(world, canary()))["status"]["stable"]["revision"]
    publish(2)(world)
    await until(world, step=0)
    put(canary(annotations=order("pause")))(world)
    found = await until(world, reason="RolloutPaused")
    for _ in range(40):
        await Operator(world).round()
        world.clock.advance(1.0)
    assert get(world, "ModelDeployment", "cancer")["status"]["candidate"]["step"] == 0, "though the hold is over"
    put(canary(annotations=order("promote", 1)))(world)
    found = await until(world, step=1, seconds=20)
    found = await settle(world, put(canary(annotations=order("abort"))))
    assert ready(found) == ("False", "Aborted")
    assert "aborted by ann" in found["status"]["held"]["message"]
    assert selected(world) == first
    found = await settle(world, put(canary(annotations=order("retry"))))
    assert found["status"]["stable"]["version"] == 2
    assert "held" not in found["status"]


async def test_an_abort_is_not_for_the_next_try() -> None:
    world = deployment_world()
    await served(world, canary())
    publish(2)(world)
    candidate = (await until(world, step=0))["status"]["candidate"]
    said = {"action": "abort", "revision": candidate["revision"], "since": candidate["since"]}
    notes = {ANNOTATION_ROLLOUT: json.dumps(said)}
    found = await settle(world, put(canary(annotations=notes)))
    assert ready(found) == ("False", "Aborted")
    found = await settle(world, put(canary(replicas=4, annotations=notes)))
    assert found["status"]["stable"]["version"] == 2, "a new spec is a new try"


async def test_recreate_never_runs_two_at_once() -> None:
    world = deployment_world()
    await served(world, model_deployment(replicas=2, rollout={"strategy": "Recreate"}))
    publish(2)(world)
    operator = Operator(world)
    for _ in range(40):
        await operator.round()
        world.cluster.step()
        world.clock.advance(1.0)
        pods = {pod["metadata"]["labels"][REVISION] for pod in world.api.all("Pod")}
        assert len(pods) <= 1
    found = get(world, "ModelDeployment", "cancer")
    assert found["status"]["stable"]["version"] == 2


async def test_an_alias_moved_back_goes_to_warm_pods_without_steps() -> None:
    world = deployment_world()
    slow = [{"weight": 25, "hold": "1h"}]
    fast = [{"weight": 25}]
    first = (await served(world, canary(steps=fast, gates=[])))["status"]["stable"]["revision"]
    publish(2)(world)
    operator = Operator(world)
    while get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] != 2:
        await operator.round()
        world.cluster.settle()
        world.clock.advance(1.0)
    put(canary(steps=slow, gates=[]))(world)
    publish(1)(world)
    await Operator(world).round()
    assert selected(world) == first
    assert get(world, "ModelDeployment", "cancer")["status"]["stable"]["version"] == 1
