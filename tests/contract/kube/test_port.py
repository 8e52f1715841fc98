"""What the port promises, of the fake and of the real API server alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.kube.port import Conflict, Object, Rejected, Resource
from slipway.kube.resources import BY_KIND, CONFIG_MAP, DEPLOYMENT, JOB, MODEL_BUILD, POD, SERVICE
from slipway.reconcile.compare import holds, stamped
from tests.contract.kube.conftest import Place


async def get(place: Place, obj: Object) -> Object:
    found = await place.kube.get(BY_KIND[obj["kind"]], obj["metadata"]["namespace"], obj["metadata"]["name"])
    assert found is not None
    return found


def version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


async def edit(place: Place, obj: Object, change: Callable[[Object], None]) -> Object:
    """As ``kubectl edit`` does, again when the cluster's controllers write their status meanwhile."""
    for _ in range(20):
        live = await get(place, obj)
        change(live)
        try:
            return await place.kube.replace(live)
        except Conflict:
            continue
    raise AssertionError("never quick enough")


def deployment(place: Place, name: str = "web", **container: object) -> Object:
    labels = {"app": name}
    full = {"name": "main", "image": "web", "ports": [{"containerPort": 80}], **container}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [full]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return place.manifest("apps/v1", "Deployment", name, {"spec": spec})


def job(place: Place, name: str = "train", image: str = "train") -> Object:
    spec = {"containers": [{"name": "main", "image": image}], "restartPolicy": "Never"}
    return place.manifest("batch/v1", "Job", name, {"spec": {"suspend": True, "template": {"spec": spec}}})


# ---- reading ----


async def test_an_absent_object_is_none(place: Place) -> None:
    assert await place.kube.get(CONFIG_MAP, place.namespace, "nobody") is None


async def test_an_absent_object_of_an_absent_namespace_is_none(place: Place) -> None:
    assert await place.kube.get(CONFIG_MAP, "no-such-namespace", "nobody") is None


async def test_an_absent_kind_is_refused_and_says_so(place: Place) -> None:
    widget = Resource("example.dev", "v1", "Widget", "widgets")
    with pytest.raises(Rejected) as refused:
        await place.kube.get(widget, place.namespace, "one")
    assert refused.value.code == 404
    with pytest.raises(Rejected):
        await place.kube.list(widget, place.namespace)


async def test_a_list_holds_what_carries_all_labels_with_its_kind(place: Place) -> None:
    for name, labels in (("one", {"x": "1", "y": "1"}), ("two", {"x": "1"}), ("three", {})):
        await place.kube.create(place.config_map(name, metadata={"labels": labels}))
    found = await place.kube.list(CONFIG_MAP, place.namespace, {"x": "1"})
    assert sorted(obj["metadata"]["name"] for obj in found) == ["one", "two"]
    assert all((obj["kind"], obj["apiVersion"]) == ("ConfigMap", "v1") for obj in found)
    both = await place.kube.list(CONFIG_MAP, place.namespace, {"x": "1", "y": "1"})
    assert [obj["metadata"]["name"] for obj in both] == ["one"]
    everywhere = await place.kube.list(CONFIG_MAP, None, {"x": "1", "y": "1"})
    assert place.namespace in {obj["metadata"]["namespace"] for obj in everywhere}
    assert await place.kube.list(CONFIG_MAP, "no-such-namespace") == []


# ---- create and replace ----


async def test_what_is_created_has_uid_version_and_time(place: Place) -> None:
    made = await place.kube.create(place.config_map())
    assert all(made["metadata"][field] for field in ("uid", "resourceVersion", "creationTimestamp"))
    assert made["data"] == {"a": "1"}


async def test_a_name_is_taken_once(place: Place) -> None:
    await place.kube.create(place.config_map())
    with pytest.raises(Conflict, match="already exists"):
        await place.kube.create(place.config_map())


async def test_nothing_is_made_in_a_namespace_that_is_not_there(place: Place) -> None:
    manifest = place.config_map(metadata={"namespace": "no-such-namespace"})
    with pytest.raises(Rejected) as refused:
        await place.kube.create(manifest)
    assert refused.value.namespace_gone
    with pytest.raises(Rejected) as refused:
        await place.kube.apply(manifest, field_manager="me")
    assert refused.value.namespace_gone


async def test_replacing_needs_the_newest_version(place: Place) -> None:
    first = await place.kube.create(place.config_map())
    second = await place.kube.replace({**first, "data": {"a": "2"}})
    assert version(second) != version(first)
    with pytest.raises(Conflict):
        await place.kube.replace({**first, "data": {"a": "3"}})
    assert (await get(place, first))["data"] == {"a": "2"}


async def test_replacing_with_the_same_changes_nothing(place: Place) -> None:
    first = await place.kube.create(place.config_map())
    assert version(await place.kube.replace(first)) == version(first)


# ---- server-side apply ----


async def test_applying_makes_and_applying_again_changes_nothing(place: Place) -> None:
    first = await place.kube.apply(place.config_map(), field_manager="me")
    second = await place.kube.apply(place.config_map(), field_manager="me")
    assert version(first) == version(second)


async def test_a_field_that_is_applied_no_more_goes(place: Place) -> None:
    await place.kube.apply(place.config_map(data={"a": "1", "b": "2"}), field_manager="me")
    after = await place.kube.apply(place.config_map(data={"a": "1"}), field_manager="me")
    assert after["data"] == {"a": "1"}


async def test_the_last_field_of_a_map_takes_the_map_along(place: Place) -> None:
    await place.kube.apply(place.config_map(metadata={"labels": {"x": "1"}}), field_manager="me")
    after = await place.kube.apply(place.config_map(), field_manager="me")
    assert "labels" not in after["metadata"]


async def test_fields_of_others_stay(place: Place) -> None:
    await place.kube.apply(place.config_map(data={"theirs": "1"}), field_manager="they")
    await place.kube.apply(place.config_map(data={"mine": "1"}), field_manager="me")
    after = await place.kube.apply(place.config_map(data={}), field_manager="me")
    assert after["data"] == {"theirs": "1"}


async def test_a_field_that_two_apply_alike_stays_until_both_drop_it(place: Place) -> None:
    await place.kube.apply(place.config_map(data={"x": "1", "k": "1"}), field_manager="me")
    await place.kube.apply(place.config_map(data={"x": "1"}), field_manager="they")
    after = await place.kube.apply(place.config_map(data={"k": "1"}), field_manager="me")
    assert after["data"] == {"x": "1", "k": "1"}
    after = await place.kube.apply(place.config_map(data={}), field_manager="they")
    assert after["data"] == {"k": "1"}


async def test_applying_takes_a_field_over_from_others(place: Place) -> None:
    await place.kube.apply(place.config_map(data={"x": "theirs"}), field_manager="they")
    after = await place.kube.apply(place.config_map(data={"x": "mine"}), field_manager="me")
    assert after["data"] == {"x": "mine"}
    # it is not theirs any more, so that dropping it changes nothing
    after = await place.kube.apply(place.config_map(data={}), field_manager="they")
    assert after["data"] == {"x": "mine"}


async def test_what_somebody_edited_is_his_and_stays_when_we_drop_it(place: Place) -> None:
    first = await place.kube.apply(place.config_map(data={"x": "mine", "k": "1"}), field_manager="me")
    await place.kube.replace({**first, "data": {"x": "edited", "k": "1"}})
    after = await place.kube.apply(place.config_map(data={"k": "1"}), field_manager="me")
    assert after["data"] == {"x": "edited", "k": "1"}


async def test_lists_with_keys_merge_and_others_are_replaced(place: Place) -> None:
    await place.kube.apply(deployment(place, env=[{"name": "A", "value": "1"}], args=["one", "two"]), field_manager="me")
    await place.kube.apply(deployment(place, env=[{"name": "B", "value": "2"}]), field_manager="they")
    after = await place.kube.apply(deployment(place, env=[{"name": "C", "value": "3"}], args=["three"]), field_manager="me")
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert sorted(item["name"] for item in container["env"]) == ["B", "C"]
    assert container["args"] == ["three"]


async def test_ports_are_told_apart_by_number_and_protocol(place: Place) -> None:
    def service(*ports: Object) -> Object:
        return place.manifest("v1", "Service", "web", {"spec": {"selector": {"app": "web"}, "ports": list(ports)}})

    await place.kube.apply(service({"name": "http", "port": 80}, {"name": "grpc", "port": 81}), field_manager="me")
    after = await place.kube.apply(service({"name": "http", "port": 80}), field_manager="me")
    assert [port["port"] for port in after["spec"]["ports"]] == [80]


async def test_owner_references_merge_by_uid(place: Place) -> None:
    owner = await place.kube.create(place.config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    manifest = place.config_map("child", metadata={"ownerReferences": [reference]})
    first = await place.kube.apply(manifest, field_manager="me")
    second = await place.kube.apply(manifest, field_manager="me")
    assert version(first) == version(second)
    assert [item["uid"] for item in second["metadata"]["ownerReferences"]] == [owner["metadata"]["uid"]]


# ---- what a child looks like once it is there: the comparison that spares writes ----

AWKWARD: dict[str, dict[str, Any]] = {
    "quantities": {"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": 2}}},
    "empty values": {"env": [{"name": "EMPTY", "value": ""}], "resources": {}, "args": []},
    "security": {"securityContext": {"runAsNonRoot": True, "privileged": False, "capabilities": {"drop": ["ALL"]}}},
    "probe": {"readinessProbe": {"httpGet": {"path": "/ready", "port": 80}, "initialDelaySeconds": 0}},
    "ports": {"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81}]},
    "mounts": {"volumeMounts": []},
}


@pytest.mark.parametrize("case", AWKWARD)
async def test_a_child_as_applied_is_seen_to_hold_already(place: Place, case: str) -> None:
    manifest = stamped(deployment(place, **AWKWARD[case]))
    await place.kube.apply(manifest, field_manager="me")
    live = await get(place, manifest)
    assert holds(live, manifest)
    changed = stamped(deployment(place, **{**AWKWARD[case], "image": "another"}))
    assert not holds(live, changed)


async def test_a_field_that_is_not_sent_any_more_is_seen(place: Place) -> None:
    manifest = stamped(deployment(place, env=[{"name": "A", "value": "1"}]))
    await place.kube.apply(manifest, field_manager="me")
    assert not holds(await get(place, manifest), stamped(deployment(place)))


async def test_a_change_by_somebody_else_is_seen(place: Place) -> None:
    manifest = stamped(deployment(place))
    await place.kube.apply(manifest, field_manager="me")

    def change(obj: Object) -> None:
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = "edited"

    await edit(place, manifest, change)
    assert not holds(await get(place, manifest), manifest)
    await place.kube.apply(manifest, field_manager="me")
    assert holds(await get(place, manifest), manifest)


async def test_additions_of_somebody_else_are_no_change(place: Place) -> None:
    manifest = stamped(deployment(place))
    await place.kube.apply(manifest, field_manager="me")

    def change(obj: Object) -> None:
        obj["metadata"].setdefault("annotations", {})["team"] = "blue"
        obj["spec"]["minReadySeconds"] = 3

    await edit(place, manifest, change)
    assert holds(await get(place, manifest), manifest)


# ---- status, generation, precondition ----


def status_of(place: Place, live: Object, reason: str, **metadata: str) -> Object:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": reason,
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-01T12:00:00Z",
    }
    manifest = place.manifest("slipway.dev/v1alpha1", "ModelBuild", live["metadata"]["name"])
    status = {"observedGeneration": 1, "conditions": [ready]}
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}, "status": status}


async def test_status_is_written_apart_from_the_rest(place: Place) -> None:
    made = await place.kube.apply({**place.build(), "status": {"observedGeneration": 9}}, field_manager="me")
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    written = await place.kube.apply_status(status_of(place, made, "Pending"), field_manager="me")
    assert written["status"]["conditions"][0]["reason"] == "Pending"
    assert written["metadata"]["generation"] == 1
    assert version(written) != version(made)
    again = await place.kube.apply_status(status_of(place, made, "Pending"), field_manager="me")
    assert version(again) == version(written)


async def test_generation_counts_changes_of_spec_alone(place: Place) -> None:
    await place.kube.apply(place.build(), field_manager="me")
    labelled = place.build()
    labelled["metadata"]["labels"] = {"x": "1"}
    assert (await place.kube.apply(labelled, field_manager="me"))["metadata"]["generation"] == 1
    changed = await place.kube.apply(place.build(suspend=True), field_manager="me")
    assert changed["metadata"]["generation"] == 2


async def test_a_status_from_an_old_version_is_a_conflict(place: Place) -> None:
    made = await place.kube.create(place.build())
    await place.kube.apply(place.build(suspend=True), field_manager="me")
    identity = {"uid": made["metadata"]["uid"], "resourceVersion": version(made)}
    with pytest.raises(Conflict):
        await place.kube.apply_status(status_of(place, made, "Pending", **identity), field_manager="me")
    assert "status" not in await get(place, made)


async def test_a_status_for_a_resource_that_was_made_anew_is_a_conflict(place: Place) -> None:
    """By its version: the server does not look at the uid of a status."""
    made = await place.kube.create(place.build())
    await place.kube.delete(MODEL_BUILD, place.namespace, "cancer")
    await place.kube.create(place.build())
    identity = {"uid": made["metadata"]["uid"], "resourceVersion": version(made)}
    with pytest.raises(Conflict):
        await place.kube.apply_status(status_of(place, made, "Pending", **identity), field_manager="me")
    with pytest.raises(Conflict):
        await place.kube.confirm(made)


async def test_applying_to_an_object_of_another_uid_is_refused(place: Place) -> None:
    made = await place.kube.create(place.config_map())
    await place.kube.delete(CONFIG_MAP, place.namespace, "one")
    manifest = place.config_map(metadata={"uid": made["metadata"]["uid"]})
    with pytest.raises((Conflict, Rejected)):
        await place.kube.apply(manifest, field_manager="me")
    await place.kube.create(place.config_map())
    with pytest.raises((Conflict, Rejected)):
        await place.kube.apply(manifest, field_manager="me")


async def test_a_status_of_nothing_is_an_error_that_is_known(place: Place) -> None:
    made = await place.kube.create(place.build())
    await place.kube.delete(MODEL_BUILD, place.namespace, "cancer")
    identity = {"uid": made["metadata"]["uid"], "resourceVersion": version(made)}
    with pytest.raises((Conflict, Rejected)):
        await place.kube.apply_status(status_of(place, made, "Pending", **identity), field_manager="me")


async def test_a_resource_is_confirmed_until_it_changes(place: Place) -> None:
    made = await place.kube.create(place.build())
    await place.kube.confirm(made)
    assert version(await get(place, made)) == version(made)
    changed = await place.kube.apply(place.build(suspend=True), field_manager="me")
    with pytest.raises(Conflict):
        await place.kube.confirm(made)
    await place.kube.confirm(changed)
    written = await place.kube.apply_status(status_of(place, changed, "Pending"), field_manager="me")
    await place.kube.confirm(written)
    assert version(await get(place, made)) == version(written)
    await place.kube.delete(MODEL_BUILD, place.namespace, "cancer")
    with pytest.raises(Conflict):
        await place.kube.confirm(written)


async def test_absence_is_confirmed(place: Place) -> None:
    await place.kube.confirm_gone(MODEL_BUILD, place.namespace, "cancer")
    await place.kube.create(place.build())
    with pytest.raises(Conflict):
        await place.kube.confirm_gone(MODEL_BUILD, place.namespace, "cancer")


# ---- refusals ----


async def test_the_servers_words_come_through(place: Place) -> None:
    with pytest.raises(Rejected, match="63") as refused:
        await place.kube.apply(place.config_map(metadata={"labels": {"x": "y" * 64}}), field_manager="me")
    assert refused.value.code == 422
    assert not refused.value.namespace_gone


async def test_a_jobs_pods_cannot_be_changed(place: Place) -> None:
    await place.kube.apply(job(place), field_manager="me")
    with pytest.raises(Rejected, match="immutable"):
        await place.kube.apply(job(place, image="another"), field_manager="me")


async def test_a_deployment_whose_selector_does_not_match_is_refused(place: Place) -> None:
    manifest = deployment(place)
    manifest["spec"]["template"]["metadata"]["labels"] = {"app": "another"}
    with pytest.raises(Rejected, match="selector"):
        await place.kube.apply(manifest, field_manager="me")


async def test_a_manifest_of_a_kind_that_is_not_ours_is_refused(place: Place) -> None:
    if not place.real:
        return
    with pytest.raises(Rejected, match="Widget"):
        await place.kube.apply(place.manifest("example.dev/v1", "Widget", "one"), field_manager="me")


async def test_fields_that_the_server_does_not_know_are_refused(place: Place) -> None:
    """In a user's podTemplate a wrong field name has to be told, not dropped."""
    if not place.real:
        return
    with pytest.raises(Rejected, match="imag"):
        await place.kube.apply(deployment(place, imagePulPolicy="Always"), field_manager="me")


# ---- deletion ----


async def test_deleting_twice_is_no_error(place: Place) -> None:
    await place.kube.create(place.config_map())
    await place.kube.delete(CONFIG_MAP, place.namespace, "one")
    await place.kube.delete(CONFIG_MAP, place.namespace, "one")
    assert await place.kube.get(CONFIG_MAP, place.namespace, "one") is None


async def test_deleting_with_another_uid_leaves_the_object_alone(place: Place) -> None:
    made = await place.kube.create(place.config_map())
    await place.kube.delete(CONFIG_MAP, place.namespace, "one", uid="00000000-0000-4000-8000-00000000dead")
    assert (await get(place, made))["metadata"]["uid"] == made["metadata"]["uid"]
    await place.kube.delete(CONFIG_MAP, place.namespace, "one", uid=made["metadata"]["uid"])
    assert await place.kube.get(CONFIG_MAP, place.namespace, "one") is None


async def test_a_finalizer_keeps_what_is_deleted(place: Place) -> None:
    await place.kube.create(place.config_map(metadata={"finalizers": ["example.dev/keep"]}))
    await place.kube.delete(CONFIG_MAP, place.namespace, "one")
    kept = await get(place, place.config_map())
    assert kept["metadata"]["deletionTimestamp"]
    kept["metadata"]["finalizers"] = []
    await place.kube.replace(kept)
    assert await place.kube.get(CONFIG_MAP, place.namespace, "one") is None


async def _family(place: Place) -> tuple[Object, Object]:
    owner = await place.kube.create(place.config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    child = await place.kube.create(place.config_map("child", metadata={"ownerReferences": [reference]}))
    return owner, child


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_children_go_with_their_owner(place: Place, propagation: Any) -> None:
    await _family(place)
    await place.kube.delete(CONFIG_MAP, place.namespace, "owner", propagation=propagation)

    async def gone() -> bool:
        names = [await place.kube.get(CONFIG_MAP, place.namespace, name) for name in ("owner", "child")]
        return names == [None, None]

    await place.settle(gone)


async def test_an_orphan_stays(place: Place) -> None:
    _, child = await _family(place)
    await place.kube.delete(CONFIG_MAP, place.namespace, "owner", propagation="Orphan")

    async def gone() -> bool:
        return await place.kube.get(CONFIG_MAP, place.namespace, "owner") is None

    await place.settle(gone)
    assert not (await get(place, child))["metadata"].get("ownerReferences")


async def test_a_child_of_nobody_goes(place: Place) -> None:
    """A child that was written for a resource that was deleted meanwhile."""
    owner, _ = await _family(place)
    await place.kube.delete(CONFIG_MAP, place.namespace, "owner")
    uid = owner["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    await place.kube.apply(place.config_map("late", metadata={"ownerReferences": [reference]}), field_manager="me")

    async def gone() -> bool:
        return await place.kube.get(CONFIG_MAP, place.namespace, "late") is None

    await place.settle(gone)


# ---- logs ----


async def test_the_log_of_no_pod_is_none(place: Place) -> None:
    assert await place.kube.pod_log(place.namespace, "nobody", "main", tail_bytes=100) is None


async def test_a_pod_that_never_started_has_no_log(place: Place) -> None:
    pod = place.manifest("v1", "Pod", "idle", {"spec": {"containers": [{"name": "main", "image": "idle"}]}})
    await place.kube.create(pod)
    assert await place.kube.pod_log(place.namespace, "idle", "main", tail_bytes=100) is None
    assert await place.kube.get(POD, place.namespace, "idle") is not None


async def test_kinds_that_the_operator_makes_are_accepted(place: Place) -> None:
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    service = {"spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 8080, "targetPort": "http"}]}}
    for manifest, resource in (
        (job(place), JOB),
        (deployment(place), DEPLOYMENT),
        (place.manifest("v1", "Service", "web", service), SERVICE),
        (place.manifest("policy/v1", "PodDisruptionBudget", "web", {"spec": budget}), BY_KIND["PodDisruptionBudget"]),
    ):
        wanted = stamped(manifest)
        await place.kube.apply(wanted, field_manager="me")
        live = await place.kube.get(resource, place.namespace, manifest["metadata"]["name"])
        assert live is not None
        assert holds(live, wanted), manifest["kind"]
        again = await place.kube.apply(wanted, field_manager="me")
        assert again["spec"] == live["spec"], manifest["kind"]
        assert again["metadata"].get("generation") == live["metadata"].get("generation"), manifest["kind"]
