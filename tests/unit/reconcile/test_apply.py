"""Plans made real: order, what is spared, what is refused, what is repaired."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from slipway.kube.port import Object, Rejected
from slipway.kube.resources import CONFIG_MAP
from slipway.reconcile.compare import APPLIED_ANNOTATION
from slipway.reconcile.contract import (
    Applied,
    Deletion,
    DropPin,
    MoveAlias,
    Planned,
    PutBlobs,
    PutPin,
    PutRequest,
    RegisterVersion,
    StatusUpdate,
    StoreLog,
)
from slipway.registry.records import AttemptResult, FileEntry, VersionDraft, digest_of
from slipway.training.contract import BuildRequest, PinnedSource
from tests.fakes.api_server import Call
from tests.unit.reconcile.bench import Bench, Scripted, update

BUILD = digest_of("build")
DATA = b"a model"
DIGEST = "sha256:" + hashlib.sha256(DATA).hexdigest()


def draft() -> VersionDraft:
    entry = FileEntry(path="model.onnx", digest=DIGEST, size=len(DATA))
    return VersionDraft(model="default/cancer", build_id=BUILD, reason="Test", files=(entry,), format="onnx")


class Keeps(Scripted):
    """Keeps what was applied, to be looked at."""

    applied: Applied[str]

    def status(self, observed: Object, applied: Applied[str], now: datetime) -> StatusUpdate:
        self.applied = applied
        return update("Done")


async def apply(bench: Bench, **planned: Any) -> Applied[str]:
    """Reconciles with a plan and gives what was done."""
    controller = bench.controller
    assert isinstance(controller, Keeps)
    controller.planned = Planned("decided", **planned)
    outcome = await bench.reconcile()
    assert outcome.word == "success", outcome
    return controller.applied


@pytest.fixture
def bench() -> Bench:
    return Bench(Keeps())


def writes(bench: Bench) -> list[str]:
    return [verb for verb in bench.verbs() if "Event" not in verb and "apply_status" not in verb]


async def test_registry_moves_children_deletions_and_moves_again_in_this_order(bench: Bench) -> None:
    old = bench.api.as_user(bench.child(name="old"))
    order: list[str] = []
    bench.api.before = lambda call: order.append(f"{call.verb} {call.name}") if call.write else None
    bench.store.before = lambda call: order.append(f"{call.operation} {call.key.split('/')[0]}") if call.writes else None
    applied = await apply(
        bench,
        before=(PutBlobs({DIGEST: DATA}), RegisterVersion(draft())),
        children=(bench.child(name="one"), bench.child(name="two")),
        deletions=(Deletion(CONFIG_MAP, "default", "old", old["metadata"]["uid"]),),
        after=(MoveAlias("default/cancer", "champion", None, by="test", reason="new"),),
    )
    kube_order = [entry for entry in order if entry.split()[0] in ("apply", "delete", "apply_status")]
    assert kube_order == ["apply one", "apply two", "delete old", "apply_status cancer"]
    assert order[0] == "put blobs"
    assert order.index("apply one") > max(n for n, e in enumerate(order) if e == "put_if_absent models" and n < 4)
    assert applied.registered is not None
    assert applied.registered.version == 1
    assert [move.version for move in applied.moved] == [1]
    assert [child["metadata"]["name"] for child in applied.children] == ["one", "two"]


async def test_a_child_that_is_there_is_not_written_again(bench: Bench) -> None:
    child = bench.child(data={"a": "1"})
    await apply(bench, children=(child,))
    assert writes(bench) == ["apply ConfigMap"]
    await apply(bench, children=(child,))
    live = await bench.api.list(CONFIG_MAP, "default")
    reads = len(bench.api.calls)
    await apply(bench, children=(child,), live=tuple(live))
    assert writes(bench) == ["apply ConfigMap"]
    assert [call.verb for call in bench.api.calls[reads:]] == ["get"], "a child that was observed is not read again"


async def test_a_child_that_somebody_changed_is_repaired(bench: Bench) -> None:
    child = bench.child(data={"a": "1"})
    await apply(bench, children=(child,))
    bench.api.edit("ConfigMap", "default", "child", lambda obj: obj["data"].update(a="edited", b="theirs"))
    await apply(bench, children=(child,))
    live = bench.api.peek("ConfigMap", "default", "child")
    assert live is not None
    assert live["data"] == {"a": "1", "b": "theirs"}


async def test_a_child_that_somebody_deleted_is_made_again(bench: Bench) -> None:
    child = bench.child(data={"a": "1"})
    await apply(bench, children=(child,))
    bench.api.remove("ConfigMap", "default", "child")
    await apply(bench, children=(child,))
    assert bench.api.peek("ConfigMap", "default", "child") is not None


async def test_a_field_that_is_planned_no_more_goes(bench: Bench) -> None:
    await apply(bench, children=(bench.child(data={"a": "1", "b": "2"}),))
    await apply(bench, children=(bench.child(data={"a": "1"}),))
    live = bench.api.peek("ConfigMap", "default", "child")
    assert live is not None
    assert live["data"] == {"a": "1"}
    assert APPLIED_ANNOTATION in live["metadata"]["annotations"]


async def test_a_job_is_written_once(bench: Bench) -> None:
    await apply(bench, children=(bench.job(),))
    applied = await apply(bench, children=(bench.job(image="of a newer operator"),))
    assert writes(bench) == ["apply Job"]
    assert applied.children[0]["spec"]["template"]["spec"]["containers"][0]["image"] == "train"


async def test_an_object_of_somebody_else_is_not_taken_over(bench: Bench) -> None:
    bench.api.as_user(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "namespace": "default"}, "data": {}}
    )
    bench.controller.planned = Planned("d", children=(bench.child(data={"a": "1"}),))
    outcome = await bench.reconcile()
    assert (outcome.word, outcome.reason) == ("stalled", "NameTaken")
    assert "ConfigMap default/child" in outcome.message
    assert writes(bench) == []


async def test_an_object_of_an_earlier_resource_of_this_name_is(bench: Bench) -> None:
    orphan = bench.child(data={"a": "0"})
    orphan["metadata"]["ownerReferences"][0]["uid"] = "00000000-0000-4000-8000-00000000dead"
    bench.api.as_user(orphan)
    await apply(bench, children=(bench.child(data={"a": "1"}),))
    assert writes(bench) == ["apply ConfigMap"]


async def test_a_child_on_its_way_out_is_waited_for(bench: Bench) -> None:
    child = bench.child(data={"a": "1"})
    child["metadata"]["finalizers"] = ["example.dev/keep"]
    bench.api.as_user(child)
    bench.api.remove("ConfigMap", "default", "child")
    applied = await apply(bench, children=(bench.child(data={"a": "2"}),), requeue_after=60.0)
    assert writes(bench) == []
    assert applied.requeue_after == 2.0


@pytest.mark.parametrize(("kind", "reason"), [("job", "PodsRefused"), ("config", "Rejected")])
async def test_what_the_server_refuses_is_told_in_its_words(bench: Bench, kind: str, reason: str) -> None:
    def refuse(call: Call) -> None:
        if call.verb == "apply":
            raise Rejected("exceeded quota: pods", code=403)

    bench.api.before = refuse
    bench.controller.planned = Planned("d", children=(bench.job() if kind == "job" else bench.child(),))
    outcome = await bench.reconcile()
    assert (outcome.word, outcome.reason) == ("stalled", reason)
    assert bench.message() == "exceeded quota: pods"


async def test_a_namespace_that_goes_away_is_no_trouble(bench: Bench) -> None:
    bench.api.objects.terminating.add("default")
    bench.controller.planned = Planned("d", children=(bench.child(),))
    assert (await bench.reconcile()).word == "gone"
    assert bench.reason() is None


async def test_a_deletion_hits_the_object_that_was_meant_alone(bench: Bench) -> None:
    bench.api.as_user(bench.child())
    await apply(bench, deletions=(Deletion(CONFIG_MAP, "default", "child", "another uid"),))
    assert bench.api.peek("ConfigMap", "default", "child") is not None


async def test_requests_pins_and_their_removal(bench: Bench) -> None:
    source = PinnedSource(kind="image", uri="x", digest=BUILD)
    request = BuildRequest(model="default/cancer", build_id=BUILD, attempt=1, source=source)
    pin = PutPin("ModelBuild", "default", "cancer", versions=("default/cancer:1",))
    await apply(bench, before=(PutRequest(BUILD, 1, request.to_json()), pin))
    assert bench.registry.read_request(BUILD, 1, BuildRequest) == request
    assert bench.registry.pins()[0].versions == ("default/cancer:1",)
    await apply(bench, after=(DropPin("ModelBuild", "default", "cancer"),))
    assert bench.registry.pins() == []


def result() -> AttemptResult:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    return AttemptResult(build_id=BUILD, attempt=1, outcome="Failed", reason="OutOfMemory", started_at=now, finished_at=now)


@pytest.mark.parametrize("log", [b"Epoch 3\nKilled\n", b""])
async def test_the_log_of_a_killed_pod_is_kept_with_its_result(bench: Bench, log: bytes) -> None:
    if log:
        bench.api.logs["default", "train-x", "main"] = log
    await apply(bench, before=(StoreLog("default", "train-x", "main", result()),))
    kept = bench.registry.read_attempt(BUILD, 1)
    assert kept is not None
    assert kept.reason == "OutOfMemory"
    assert [bench.registry.blobs.read(entry.digest) for entry in kept.logs] == ([log] if log else [])


async def test_the_first_result_of_an_attempt_stands(bench: Bench) -> None:
    mine = result().model_copy(update={"outcome": "Succeeded", "reason": "Trained"})
    bench.registry.write_attempt(mine)
    await apply(bench, before=(StoreLog("default", "train-x", "main", result()),))
    kept = bench.registry.read_attempt(BUILD, 1)
    assert kept is not None
    assert kept.reason == "Trained"


async def test_an_alias_cannot_follow_a_version_that_is_not_registered(bench: Bench) -> None:
    bench.controller.planned = Planned("d", after=(MoveAlias("default/cancer", "champion", None, by="t", reason=""),))
    assert (await bench.reconcile()).reason == "InternalError"
