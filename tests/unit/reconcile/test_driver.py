"""One reconcile: which errors lead to which outcome and status, and what is never written."""

from __future__ import annotations

import pytest

from slipway.kube import port as kube
from slipway.reconcile.contract import Conflict, DropPin, Key, Planned, PutPin, Stalled, Transient
from slipway.reconcile.errors import LeaseLost
from slipway.registry.errors import CorruptRecord, NewerSchema, UnknownModel
from slipway.storage import port as storage
from tests.fakes.api_server import Call
from tests.unit.reconcile.bench import KEY, Bench, Scripted

STEPS = ["observe", "validate", "plan", "status"]


async def test_the_steps_follow_each_other_and_the_second_round_writes_nothing() -> None:
    bench = Bench(Scripted(Planned("d", requeue_after=3.0)))
    first = await bench.reconcile()
    assert bench.controller.seen == STEPS
    assert (first.word, first.after, first.wrote_status) == ("success", 3.0, True)
    writes = bench.verbs()
    second = await bench.reconcile()
    assert (second.word, second.wrote_status) == ("success", False)
    assert bench.verbs() == writes == ["apply_status ModelBuild", "create Event"]


@pytest.mark.parametrize("step", STEPS)
async def test_stalled_is_told_in_status_and_not_tried_again(step: str) -> None:
    bench = Bench(Scripted(raises={step: Stalled("InvalidSpec", "spec.value: choose another")}))
    outcome = await bench.reconcile()
    assert (outcome.word, outcome.reason) == ("stalled", "InvalidSpec")
    assert (bench.reason(), bench.message()) == ("InvalidSpec", "spec.value: choose another")


@pytest.mark.parametrize("step", STEPS)
async def test_transient_is_told_from_the_second_failure_on(step: str) -> None:
    bench = Bench(Scripted(raises={step: Transient("StoreUnavailable", "no answer")}))
    outcome = await bench.reconcile(failures=0)
    assert (outcome.word, outcome.reason, outcome.wrote_status) == ("transient", "StoreUnavailable", False)
    assert bench.reason() is None
    assert (await bench.reconcile(failures=1)).wrote_status
    assert bench.reason() == "StoreUnavailable"
    assert not (await bench.reconcile(failures=2)).wrote_status


@pytest.mark.parametrize(
    ("error", "word", "reason"),
    [
        (kube.Unavailable("get: no answer", retry_after=4.0), "transient", "ApiUnavailable"),
        (kube.Rejected("forbidden", code=403), "stalled", "Rejected"),
        (kube.Conflict("modified"), "conflict", "Conflict"),
        (Conflict("modified"), "conflict", "Conflict"),
        (storage.Unavailable("503"), "transient", "StoreUnavailable"),
        (CorruptRecord("x is not JSON"), "transient", "RecordUnreadable"),
        (NewerSchema("x has schema version 9"), "transient", "RecordUnreadable"),
        (storage.Denied("no s3:PutObject on b"), "stalled", "StoreDenied"),
        (storage.NoBucket("no bucket b"), "stalled", "StoreDenied"),
        (storage.OutcomeUnknown("no answer"), "conflict", "Conflict"),
        (storage.NotFound("no object"), "transient", "StoreUnavailable"),
        (UnknownModel("no model x"), "transient", "InternalError"),
        (ValueError("a bug"), "transient", "InternalError"),
        (kube.Rejected("being terminated", code=403, namespace_gone=True), "gone", "NamespaceGone"),
    ],
)
async def test_each_error_of_a_port_has_its_place(error: Exception, word: str, reason: str) -> None:
    bench = Bench(Scripted(raises={"observe": error}))
    outcome = await bench.reconcile(failures=1)
    assert (outcome.word, outcome.reason) == (word, reason)
    assert bench.reason() == (reason if word in ("transient", "stalled") else None)
    if isinstance(error, kube.Unavailable):
        assert outcome.after == 4.0


async def test_a_bug_is_told_with_the_way_to_more_and_without_a_traceback() -> None:
    bench = Bench(Scripted(raises={"plan": KeyError("x" * 9000)}))
    await bench.reconcile(failures=1)
    assert "KeyError" in bench.message()
    assert "operator's log" in bench.message()
    assert len(bench.message()) < 1000


async def test_nothing_is_decided_while_the_gate_is_closed() -> None:
    bench = Bench()

    def closed() -> None:
        raise Stalled("StoreUnsuitable", "all racers won")

    bench.gate = closed
    assert (await bench.reconcile()).word == "stalled"
    assert bench.controller.seen == []
    assert bench.reason() == "StoreUnsuitable"


async def test_a_resource_that_is_gone_is_no_work() -> None:
    bench = Bench()
    outcome = await bench.driver.reconcile(Key("ModelBuild", "default", "nobody"), 0)
    assert outcome.word == "gone"
    assert bench.verbs() == []


async def test_a_resource_that_is_being_deleted_is_left_to_its_owner_references() -> None:
    bench = Bench()
    bench.api.edit("ModelBuild", "default", "cancer", lambda o: o["metadata"].update(finalizers=["example.dev/keep"]))
    bench.api.remove("ModelBuild", "default", "cancer")
    assert (await bench.reconcile()).word == "gone"
    assert bench.controller.seen == []
    assert bench.verbs() == []


async def test_traces_outside_the_cluster_are_removed_when_it_is_gone() -> None:
    bench = Bench(Scripted(traces=(DropPin("ModelBuild", "default", "cancer"),)))
    bench.registry.pin("ModelBuild", "default", "cancer")
    await bench.reconcile()
    assert len(bench.registry.pins()) == 1
    bench.api.remove("ModelBuild", "default", "cancer")
    await bench.reconcile()
    assert bench.registry.pins() == []


async def test_traces_stay_when_only_an_old_read_says_that_it_is_gone() -> None:
    bench = Bench(Scripted(traces=(DropPin("ModelBuild", "default", "cancer"),)))
    bench.registry.pin("ModelBuild", "default", "cancer")
    bench.api.read_at = lambda _call: 0
    assert (await bench.reconcile()).word == "conflict"
    assert len(bench.registry.pins()) == 1


async def test_nothing_is_written_from_an_old_state() -> None:
    """The spec changes while the decision is made: neither child nor registry nor status sees it."""
    bench = Bench()
    bench.controller.planned = Planned("d", after=(PutPin("ModelBuild", "default", "cancer"),), children=(bench.child(),))
    bench.controller.meanwhile = lambda: _set(bench, 2)
    assert (await bench.reconcile()).word == "conflict"
    assert bench.verbs() == []
    assert bench.store.snapshot() == {}
    bench.controller.meanwhile = lambda: None
    assert (await bench.reconcile()).word == "success"


def _set(bench: Bench, value: int) -> None:
    bench.api.edit("ModelBuild", "default", "cancer", lambda obj: obj["spec"].update(value=value))


async def test_a_resource_that_was_made_anew_gets_no_status_of_its_predecessor() -> None:
    bench = Bench()

    def replace() -> None:
        bench.api.remove("ModelBuild", "default", "cancer")
        bench.api.as_user({**bench.owner, "metadata": {"name": "cancer", "namespace": "default"}})

    bench.controller.meanwhile = replace
    assert (await bench.reconcile()).word == "conflict"
    assert bench.reason() is None


async def test_a_lost_lease_stops_everything() -> None:
    bench = Bench()

    def lost() -> None:
        raise LeaseLost("somebody else leads")

    bench.fence = lost
    with pytest.raises(LeaseLost):
        await bench.reconcile()
    assert bench.verbs() == []


@pytest.mark.parametrize("error", [kube.Unavailable("no answer"), kube.Rejected("schema", code=422), ValueError("bug")])
async def test_a_status_that_cannot_be_written_is_tried_again(error: Exception) -> None:
    bench = Bench()

    def refuse(call: Call) -> None:
        if call.verb == "apply_status":
            raise error

    bench.api.before = refuse
    assert (await bench.reconcile()).word == "transient"
    bench.api.heal()
    assert (await bench.reconcile()).word == "success"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (kube.Unavailable("no answer", retry_after=2.0), "transient"),
        (kube.Rejected("no such kind", code=404), "transient"),
        (RuntimeError("bug"), "transient"),
    ],
)
async def test_a_resource_that_cannot_be_read_is_tried_again(error: Exception, word: str) -> None:
    bench = Bench()

    def refuse(_call: Call) -> None:
        raise error

    bench.api.before = refuse
    assert (await bench.driver.reconcile(KEY, 5)).word == word
