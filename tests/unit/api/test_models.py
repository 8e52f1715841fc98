from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.api.app_build import AppBuild
from slipway.api.common import MAX_MESSAGE, Approval, InvalidResource
from slipway.api.conditions import Condition
from slipway.api.model_build import ModelBuild, params_problem
from slipway.api.model_build_status import MAX_METRICS, Build, BuildSummary, ModelBuildStatus, status_metrics
from slipway.api.model_deployment import ModelDeployment

DIGEST = "sha256:" + "a" * 64


def model_build(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "ModelBuild",
        "metadata": {"name": "breast-cancer", "namespace": "ml", "uid": "1", "generation": 3, "resourceVersion": "7"},
        "spec": {"source": {"configMap": {"name": "train"}}, "trainer": {"entrypoint": "train:main"}, **spec},
    }


def test_a_small_build_is_read_with_its_defaults() -> None:
    build = ModelBuild.parse(model_build())
    assert build.model == "ml/breast-cancer"
    assert (build.spec.retry_limit, build.spec.backoff_seconds, build.spec.deadline_seconds) == (2, 30, 3600)
    assert build.spec.suspend is False
    assert build.status is None
    assert build.metadata.generation == 3


def test_the_model_may_have_another_name_than_the_resource() -> None:
    assert ModelBuild.parse(model_build(model="tumours")).model == "ml/tumours"


def test_an_empty_image_source_is_told_from_none() -> None:
    assert ModelBuild.parse(model_build(source={"image": {}})).spec.source.image is not None
    assert ModelBuild.parse(model_build()).spec.source.image is None


def test_params_keep_their_types() -> None:
    params = {"C": 0.3, "seed": 7, "fit_intercept": True, "solver": "lbfgs"}
    parsed = ModelBuild.parse(model_build(trainer={"entrypoint": "a:b", "params": params})).spec.trainer.params
    assert parsed == params
    assert [type(value) for value in parsed.values()] == [float, int, bool, str]


def test_fields_of_a_newer_schema_are_passed_over() -> None:
    build = ModelBuild.parse(model_build(somethingNew={"a": 1}))
    assert not hasattr(build.spec, "something_new")


def test_a_wrong_spec_names_every_wrong_field() -> None:
    with pytest.raises(InvalidResource) as caught:
        ModelBuild.parse(model_build(deadlineSeconds="soon", retry={"limit": 99}))
    assert "spec.deadlineSeconds" in str(caught.value)
    assert "spec.retry.limit" in str(caught.value)


def test_a_status_of_another_schema_counts_as_absent() -> None:
    broken = {**model_build(), "status": {"conditions": "none", "build": 7}}
    assert ModelBuild.parse(broken).status is None


def test_a_wrong_status_does_not_hide_a_wrong_spec() -> None:
    broken = {**model_build(suspend="perhaps"), "status": {"build": 7}}
    with pytest.raises(InvalidResource, match=r"^spec\.suspend: [^;]*$"):
        ModelBuild.parse(broken)


def test_a_deployment_reads_names_of_its_own_and_of_another_namespace() -> None:
    def named(name: str) -> tuple[str, str]:
        metadata = {"name": "web", "namespace": "ml"}
        return ModelDeployment.parse({"metadata": metadata, "spec": {"model": {"name": name, "version": 7}}}).model_name()

    assert named("breast-cancer") == ("ml", "breast-cancer")
    assert named("research/breast-cancer") == ("research", "breast-cancer")


def test_an_app_build_is_read() -> None:
    spec = {"source": {"git": {"url": "https://example.com/a.git"}}, "output": {"repository": "r.example.com/a"}}
    build = AppBuild.parse({"metadata": {"name": "api"}, "spec": spec})
    assert build.spec.strategy == "Layers"
    assert build.spec.source.git is not None
    assert build.spec.source.git.ref is None


# ---- status ----


def test_a_status_is_written_without_empty_lists_and_comes_back_equal() -> None:
    now = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
    status = ModelBuildStatus(
        observed_generation=3,
        conditions=(Condition(type="Ready", status="True", reason="Registered", last_transition_time=now),),
        build=Build(id=DIGEST, reason="FirstBuild", attempt=1, started_at=now),
    )
    written = status.to_dict()
    assert written == {
        "observedGeneration": 3,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Registered",
                "message": "",
                "lastTransitionTime": "2026-11-03T12:00:00Z",
            }
        ],
        "build": {"id": DIGEST, "reason": "FirstBuild", "attempt": 1, "startedAt": "2026-11-03T12:00:00Z"},
    }
    assert ModelBuildStatus.model_validate(written) == status


def test_times_are_written_in_utc() -> None:
    berlin = datetime(2026, 11, 3, 13, 0, 0, 999999, tzinfo=timezone(timedelta(hours=1)))
    assert Build(id=DIGEST, started_at=berlin).to_dict()["startedAt"] == "2026-11-03T12:00:00Z"


def test_a_long_message_is_cut_rather_than_refused() -> None:
    condition = Condition(type="Ready", status="False", reason="TrainingFailed", message="x" * 100_000)
    assert len(condition.message) == MAX_MESSAGE
    assert condition.message.endswith("…")


def test_history_keeps_the_ten_newest() -> None:
    summaries = tuple(BuildSummary(id=DIGEST, outcome="Succeeded", version=n) for n in range(20, 0, -1))
    assert [s.version for s in ModelBuildStatus(history=summaries).history] == list(range(20, 10, -1))


def test_metrics_of_gates_come_first_and_the_rest_is_cut_to_what_the_schema_takes() -> None:
    metrics = {f"m{n:03}": n / 3 for n in range(500)} | {"roc_auc": 0.99470001}
    shown = status_metrics(metrics, first=["roc_auc", "never_logged", "roc_auc"])
    assert next(iter(shown.items())) == ("roc_auc", "0.9947")
    assert len(shown) == MAX_METRICS
    assert "never_logged" not in shown


# ---- params ----


def test_scalars_are_good_params() -> None:
    assert params_problem({"C": 0.3, "seed": 7, "on": True, "name": "x", "none": ""}) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        ([1, 2], "a list"),
        ({"a": 1}, "an object"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ("x" * 20_000, "20000 characters"),
    ],
)
def test_other_params_are_named_with_the_fix(value: Any, words: str) -> None:
    problem = params_problem({"fine": 1, "layers": value})
    assert problem is not None
    assert problem.startswith("trainer.params.layers is ")
    assert words in problem


# ---- approval ----


def test_an_approval_is_a_number_or_json() -> None:
    assert Approval.parse("7") == Approval(version=7)
    assert Approval.parse(" 7 ") == Approval(version=7)
    assert Approval.parse('{"version": 7, "by": "ann", "reason": "looks good"}') == Approval(
        version=7, by="ann", reason="looks good"
    )


def test_an_approval_reads_its_own_annotation() -> None:
    approval = Approval(version=7, by="änn@example.com", reason='said "yes"')
    assert Approval.parse(approval.to_annotation()) == approval
    assert Approval.parse(Approval(version=1).to_annotation()) == Approval(version=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "true",
        "v7",
        "0",
        "-1",
        "7.5",
        "{}",
        '{"version": "7"}',
        '{"version": true}',
        "[7]",
        "9" * 5000,
        "[" * 99999,
    ],
)
def test_a_wrong_approval_approves_nothing(text: str) -> None:
    assert Approval.parse(text) is None


@given(st.text())
def test_no_text_makes_the_approval_fail(text: str) -> None:
    approval = Approval.parse(text)
    assert approval is None or approval.version >= 1
