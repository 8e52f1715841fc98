"""What people may write is accepted as it is, and what the operator writes is kept."""

import copy
import re
from typing import Any

import pytest
import yaml

from local.probe import wait_until
from slipway.api.app_build import AppBuild, AppBuildRun, AppBuildStatus, Layer
from slipway.api.common import Failure
from slipway.api.conditions import Condition
from slipway.api.feature_view import (
    ColumnQuality,
    FeatureView,
    FeatureViewStatus,
    Freshness,
    Quality,
    TableStatus,
    ViewRevision,
)
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import ApprovalStatus, Build, BuildSummary, GateStatus, ModelBuildStatus, Version
from slipway.api.model_deployment import Held, ModelDeployment, ModelDeploymentStatus, Revision, Served
from slipway.api.rollout import GateVerdict, Mark, StepApproval
from tests.integration.api import resources as r
from tests.integration.api.server import ROOT, Server

GOOD = {
    "smallest ModelBuild": r.model_build(),
    "full ModelBuild": r.full_model_build(),
    "smallest AppBuild": r.app_build(),
    "full AppBuild": r.full_app_build(),
    "smallest ModelDeployment": r.model_deployment(),
    "full ModelDeployment": r.full_model_deployment(),
    "smallest FeatureView": r.feature_view(),
    "full FeatureView": r.full_feature_view(),
    "a FeatureView as wide as can be": r.feature_view(features=[{"name": f"column_{n}", "type": "float32"} for n in range(2000)]),
    "a FeatureView over a table of others": r.feature_view(source={"delta": "s3://lake/visits"}),
    "the longest name of a FeatureView": r.feature_view("a" * 63),
    "code in the image": r.model_build(source={"image": {}}, trainer={"image": "train:1"}),
    "any container": r.trainer(image="train:1", command=["python", "-m", "train"], args=["--fast"]),
    "default image, said as nothing": r.trainer(image="", entrypoint="a:b"),
    "ssh repository": r.git(url="ssh://git@example.com:2222/a.git", ref="v1.0"),
    "features of a view as of a time": r.model_build(
        inputs=[{"name": "a", "featureView": {"name": "visits", "asOf": "2026-11-01T00:00:00Z"}}]
    ),
    "features of several views, and a snapshot": r.model_build(
        inputs=[
            {
                "name": "a",
                "featureView": {"names": ["visits:pages", "v"], "entities": {"uri": "s3://lake/b"}, "asOf": "EntityTime"},
            },
            {"name": "b", "featureSnapshot": {"name": "churn", "number": 3}},
        ]
    ),
    "a bucket's root": r.model_build(source={"s3": {"uri": "s3://code/"}}),
    "the longest name": r.model_build("a" * 50),
    "latest, followed": r.model_deployment(model={"name": "m", "alias": "latest"}),
    "shadow": r.rollout(
        strategy="Shadow",
        steps=[{"weight": 10, "hold": "5m"}, {"weight": 100, "hold": "5m"}],
        shadow={"tolerance": 0.05},
        gates=[
            {"name": "same", "agreement": {"min": 0.98}, "minRequests": 500},
            {"name": "near", "agreement": {"maxDistance": 0.02}},
            {"name": "errors", "errorRate": {"max": 0}},
        ],
        watch={"for": "30m"},
    ),
    "registry by address": r.app_build(output={"repository": "[::1]:5000/a"}),
}


@pytest.mark.parametrize("manifest", GOOD.values(), ids=GOOD.keys())
def test_good_resources_are_accepted(server: Server, manifest: r.Manifest) -> None:
    answer = server.apply(manifest)
    assert answer.ok, answer.words


def holds(live: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(k in live and holds(live[k], v) for k, v in wanted.items())
    return bool(live == wanted)


@pytest.mark.parametrize("make", [r.full_model_build, r.full_app_build, r.full_model_deployment, r.full_feature_view])
def test_no_field_is_pruned_and_no_item_of_a_list_gets_a_default(server: Server, make: Any) -> None:
    manifest = make()
    # lists are compared as they are: a default inside of one would be a difference to every GitOps tool
    assert holds(server.apply(manifest).json["spec"], manifest["spec"])


def test_defaults_are_those_of_the_models(server: Server) -> None:
    kinds = ((r.model_build, ModelBuild), (r.app_build, AppBuild), (r.model_deployment, ModelDeployment))
    for make, model in (*kinds, (r.feature_view, FeatureView)):
        manifest = make()
        assert model.parse(server.apply(manifest).json).spec == model.parse(manifest).spec  # type: ignore[attr-defined]


def test_examples_of_the_spec_pages_are_accepted(server: Server) -> None:
    found = 0
    for page in sorted((ROOT / "docs/spec/v1alpha1").glob("*.md")):
        for example in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            answer = server.apply(yaml.safe_load(example))
            assert answer.ok, f"{page.name}: {answer.words}"
            found += 1
    assert found >= 3


# ---- status ----

DIGEST = "sha256:" + r.HEX
NOW: Any = "2026-11-03T12:00:00Z"
CONDITIONS = (
    Condition(type="Ready", status="False", reason="GateFailed", message="m", last_transition_time=NOW, observed_generation=1),
    Condition(type="Stalled", status="True", reason="GateFailed", message="", last_transition_time=NOW, observed_generation=1),
)
IMAGE = f"registry.example.com/ml/api@{DIGEST}"
FAILURE = Failure(reason="TrainingFailed", message="ValueError: no (train.py:3)")
REVISION = Revision(
    revision="3f9a", version=1, digest=DIGEST, image=IMAGE, ready_replicas=0, since=NOW, weight=0, step=0, step_since=NOW,
    approvals=(StepApproval(step=0, by="ann", reason="fine", at=NOW),),
    gates=(GateVerdict(name="e", verdict="NoData", value="0.1", requests=0, message="m", at=NOW, since=NOW),),
    marks=(Mark(window=60, at=NOW, pods={"web-1": "1 2 3 4 5,6"}),),
)  # fmt: skip

STATUSES = {
    "modelbuild": (
        r.model_build("with-status"),
        ModelBuildStatus(
            observed_generation=1,
            conditions=CONDITIONS,
            build=Build(
                id=DIGEST, reason="Forced", attempt=2, job="j", generation=1, source=DIGEST, started_at=NOW,
                finished_at=NOW, outcome="Failed", failure=FAILURE, retry_after=NOW,
            ),
            version=Version(
                number=7, digest=DIGEST, metrics={"roc_auc": "0.99", "val/loss": "nan"}, promoted_to="champion",
                gates=(GateStatus(metric="roc_auc", passed=False, message="m", value="0.9", bound="0.95"),),
                approval=ApprovalStatus(
                    required=True, approved_by="ann", at=NOW, waiting_since=NOW, expires_at=NOW, refused_by="bob", expired=True,
                    reason="no",
                ),
            ),
            history=(BuildSummary(id=DIGEST, reason="CacheHit", outcome="Succeeded", version=7, attempts=0, started_at=NOW),),
        ),
    ),
    "appbuild": (
        r.app_build("with-status"),
        AppBuildStatus(
            observed_generation=1,
            conditions=CONDITIONS,
            image=IMAGE,
            build=AppBuildRun(
                id=DIGEST, reason="FirstBuild", attempt=1, job="j", generation=1, source=DIGEST, base=IMAGE, sbom=DIGEST,
                layers=(Layer(digest=DIGEST, size=10**10, holds="requirements"),), bytes_sent=0, seconds=3.5,
                started_at=NOW, finished_at=NOW, outcome="Succeeded", failure=FAILURE, retry_after=NOW,
            ),
        ),
    ),
    "modeldeployment": (
        r.model_deployment("with-status"),
        ModelDeploymentStatus(
            observed_generation=1,
            conditions=CONDITIONS,
            url="http://web.default.svc:8080",
            stable=REVISION,
            candidate=REVISION,
            held=Held(revision="3f9a", version=2, digest=DIGEST, reason="CandidateFailed", message="m", since=NOW),
            history=(Served(revision="3f9a", version=1, digest=DIGEST, image=IMAGE, since=NOW, until=NOW, reason="GateFailed"),),
        ),
    ),
    "featureview": (
        r.feature_view("with-status"),
        FeatureViewStatus(
            observed_generation=1,
            conditions=CONDITIONS,
            revision=ViewRevision(number=2, digest=DIGEST, applied_at=NOW),
            table=TableStatus(version=0, rows=0, message="m"),
            freshness=Freshness(last_event_time=NOW, last_ingested=NOW),
            quality=Quality(
                table_version=0, batch_rows=0, complete="0.9987", columns=(ColumnQuality(name="pages", nulls="0.0013"),),
            ),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STATUSES)
def test_a_status_comes_back_as_it_was_written(server: Server, kind: str) -> None:
    manifest, status = STATUSES[kind]
    assert server.apply(manifest, dry=False).ok
    body = {k: copy.deepcopy(manifest[k]) for k in ("apiVersion", "kind", "metadata")} | {"status": status.to_dict()}
    written = server.kubectl(
        "apply", "--server-side", "--subresource=status", "--field-manager=slipway", "-f", "-", given=yaml.safe_dump(body)
    )
    assert written.ok, written.words
    live = server.kubectl("get", kind, "with-status", "-o", "json").json
    assert live["status"] == status.to_dict()
    assert live["metadata"]["generation"] == 1, "writing status must not count as a change of spec"


def test_a_field_that_status_does_not_know_is_refused(server: Server) -> None:
    assert server.apply(r.model_build("odd-status"), dry=False).ok
    body = r.model_build("odd-status")
    del body["spec"]
    answer = server.kubectl(
        "apply", "--server-side", "--subresource=status", "-f", "-", given=yaml.safe_dump({**body, "status": {"phase": "Done"}})
    )
    assert not answer.ok
    assert "phase" in answer.words


def test_a_spec_write_cannot_touch_the_status(server: Server) -> None:
    assert server.apply({**r.model_build("no-status"), "status": {"observedGeneration": 9}}, dry=False).ok
    assert "status" not in server.kubectl("get", "mb", "no-status", "-o", "json").json


# ---- what a person sees ----


def test_get_shows_reason_and_version_first(server: Server) -> None:
    test_a_status_comes_back_as_it_was_written(server, "modelbuild")
    head, row = server.kubectl("get", "mb", "with-status").out.splitlines()
    assert head.split() == ["NAME", "READY", "REASON", "VERSION", "PROMOTED", "ATTEMPT", "AGE"]
    assert row.split()[:6] == ["with-status", "False", "GateFailed", "7", "champion", "2"]


def test_the_category_lists_all_kinds(server: Server) -> None:
    for make in (r.model_build, r.app_build, r.model_deployment, r.feature_view):
        assert server.apply(make("listed"), dry=False).ok
    names = server.kubectl("get", "slipway", "-o", "name").out.split()
    assert {f"{kind}.slipway.dev/listed" for kind in ("modelbuild", "appbuild", "modeldeployment", "featureview")} <= set(names)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("mb.spec.deadlineSeconds", ["Seconds that one attempt may take", "Default: 3600"]),
        ("mb.spec.source", ["exactly one of", "configMap", "s3", "git", "image"]),
        ("mb.spec.evaluation.gates", ["noWorseThan", "tolerance", "-required-"]),
        ("ab.spec.output.repository", ["without tag", "registry.example.com/ml/api"]),
        ("md.spec.progressDeadlineSeconds", ["Seconds", "Default: 300"]),
        ("fv.spec.ttl", ["30d", "Default: rows do not expire"]),
        ("fv.spec.features", ["trained on", "-required-", "Default: float64"]),
        ("fv.status.freshness", ["newest event time", "last written"]),
        ("md.status.held", ["failed", "reason", "message"]),
    ],
)
def test_explain_tells_unit_and_default(server: Server, path: str, words: list[str]) -> None:
    # The server publishes the OpenAPI document of a CRD a moment after the CRD is established.
    wait_until(f"kubectl explains {path}", lambda: server.kubectl("explain", path).ok, seconds=30, every=0.2)
    said = " ".join(server.kubectl("explain", path).out.split())
    for word in words:
        assert word in said
