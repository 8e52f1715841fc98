"""App builds: whatever the spec, the plan is the same for the same facts, and an identity is shared by the same inputs only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.api.app_build import AppBuild
from slipway.controllers.app_build import policy
from slipway.controllers.app_build.observed import Installation, Observed
from slipway.controllers.app_build.plan import plan
from slipway.controllers.app_build.validate import validate
from slipway.controllers.shared.attempts import Attempt, Failed, Limits, Start, Waiting, next_step
from slipway.controllers.shared.pods import PodSettings
from slipway.images.contract import FAILURES, RETRYABLE, AppBuildRequest, AppBuildResult
from slipway.reconcile.contract import PutRequest
from slipway.sources.pinned import PinnedSource

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INSTALLATION = Installation(PodSettings("s3://slipway", "store"), "r.example.com/t@sha256:" + "a" * 64, "", "default", (), "")
digests = st.integers(0, 3).map(lambda n: f"sha256:{n:064x}")
names = st.from_regex(r"[a-z]([a-z0-9-]{0,40}[a-z0-9])?", fullmatch=True)


@st.composite
def builds(draw: st.DrawFn) -> AppBuild:
    spec: dict[str, Any] = {
        "source": {"configMap": {"name": "code"}},
        "output": {"repository": "r.example.com/team/app"},
        "requirements": draw(st.lists(st.sampled_from(["six", "pandas==2.3.*", "numpy"]), max_size=3)),
        "rebase": draw(st.sampled_from(["Automatic", "Never"])),
        "deadlineSeconds": draw(st.integers(1, 86400)),
    }
    if draw(st.booleans()):
        spec["entrypoint"] = "app:Service"
    if draw(st.booleans()):
        spec["output"]["credentialsSecret"] = "login"
    meta = {"name": draw(names), "namespace": "team", "uid": "u", "generation": draw(st.integers(1, 9))}
    return AppBuild.parse({"apiVersion": "slipway.dev/v1alpha1", "kind": "AppBuild", "metadata": meta, "spec": spec})


@st.composite
def worlds(draw: st.DrawFn) -> Observed:
    build = draw(builds())
    source = PinnedSource(kind="configMap", uri="configmap://team/code", digest=draw(digests))
    base = f"r.example.com/base@{draw(digests)}"
    identity = policy.build_identity(build, source, base, None)
    attempt: Attempt[AppBuildResult] = Attempt(number=1, tries=1)
    return Observed(build=build, installation=INSTALLATION, identity=identity, source=source, base=base, attempt=attempt)


@given(worlds())
def test_a_plan_is_the_same_for_the_same_facts_and_holds_what_the_pod_needs(observed: Observed) -> None:
    first, again = (plan(validate(observed), NOW) for _ in range(2))
    assert first == again
    (job,) = first.children
    assert len(job["metadata"]["name"]) <= 63
    (asked,) = [item for item in first.before if isinstance(item, PutRequest)]
    request = AppBuildRequest.model_validate_json(asked.document)
    assert request.requirements == observed.build.spec.requirements
    assert request.base == observed.base
    deadline = job["spec"]["activeDeadlineSeconds"]
    assert request.deadline_seconds is not None
    assert request.deadline_seconds < deadline, "the pod speaks before Kubernetes ends it"


@given(worlds(), worlds())
def test_an_identity_is_shared_exactly_by_the_same_inputs(one: Observed, other: Observed) -> None:
    def inputs(world: Observed) -> tuple[Any, ...]:
        spec, source = world.build.spec, world.source
        assert source is not None
        return world.build.metadata.name, source.digest, world.base, spec.entrypoint, spec.requirements

    assert (one.identity == other.identity) == (inputs(one) == inputs(other))


@settings(max_examples=300)
@given(
    reason=st.sampled_from(sorted(FAILURES)),
    tries=st.integers(1, 60),
    retries=st.integers(0, 10),
    backoff=st.integers(1, 3600),
    later=st.integers(0, 10**7),
)
def test_every_failure_ends_or_comes_to_another_attempt(reason: str, tries: int, retries: int, backoff: int, later: int) -> None:
    result = AppBuildResult(
        build_id="sha256:" + "0" * 64,
        attempt=tries,
        outcome="Failed",
        reason=reason,
        started_at=NOW,
        finished_at=NOW,
    )
    limits = Limits(retries, backoff, RETRYABLE, False, policy.HEALING)
    step = next_step(Attempt(number=tries, tries=tries, result=result), limits, NOW + timedelta(seconds=later))
    if reason in policy.HEALING:
        assert not isinstance(step, Failed), "what heals by itself is never given up"
        if later >= 600:
            assert step == Start(tries + 1, tries + 1)
    elif reason not in RETRYABLE or tries > retries:
        assert isinstance(step, Failed)
    else:
        assert isinstance(step, Start | Waiting)
    assert policy.condition_reason(reason)
