"""Decides an AppBuild's next step and what has to be written for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from slipway.api import conditions
from slipway.api.app_build import AppBuildRun
from slipway.controllers.app_build.job import job_manifest
from slipway.controllers.app_build.observed import Observed
from slipway.controllers.app_build.policy import HEALING, app_name, why
from slipway.controllers.app_build.validate import Valid
from slipway.controllers.shared.attempts import (
    Attempt,
    Done,
    Failed,
    Limits,
    Next,
    Start,
    Waiting,
    created,
    next_step,
    of_other_builds,
)
from slipway.images.contract import RETRYABLE, AppBuildRequest, AppBuildResult
from slipway.kube.port import Object
from slipway.kube.resources import JOB
from slipway.reconcile.contract import Deletion, Planned, PutBlobs, PutRequest, StoreLog

BUILD_CONTAINER = "build"


@dataclass(frozen=True)
class Settled:
    """Nothing to do: status says it already."""


@dataclass(frozen=True)
class Working:
    """The build goes on, has ended, has to wait, or failed. `reason`: why it was started."""

    next: Next[AppBuildResult]
    reason: str


Decision = Settled | Working


def plan(valid: Valid, now: datetime) -> Planned[Decision]:
    """The whole plan; `now` decides about retries only."""
    observed = valid.observed
    if observed.settled or observed.attempt is None:
        return Planned(decision=Settled(), live=observed.jobs)
    spec = observed.build.spec
    step = next_step(observed.attempt, Limits(spec.retry_limit, spec.backoff_seconds, RETRYABLE, spec.suspend, HEALING), now)
    decision = Working(step, _reason(observed, observed.attempt, step))
    deletions = tuple(
        Deletion(JOB, job["metadata"]["namespace"], job["metadata"]["name"], job["metadata"]["uid"])
        for job in of_other_builds(observed.jobs, observed.identity)
    )
    if isinstance(step, Start):
        request = build_request(observed, step.number)
        blobs = (PutBlobs(observed.blobs),) if observed.blobs else ()
        before = (*blobs, PutRequest(observed.identity, step.number, request.to_json()))
        job = job_manifest(observed, step.number)
        return Planned(decision, before=before, children=(job,), deletions=deletions, live=observed.jobs)
    if isinstance(step, Failed | Waiting):
        logs = (conclusion(observed, observed.attempt, step),) if step.conclude else ()
        requeue = max(0.0, (step.until - now).total_seconds()) if isinstance(step, Waiting) else None
        return Planned(decision, before=logs, deletions=deletions, requeue_after=requeue, live=observed.jobs)
    return Planned(decision, deletions=deletions, live=observed.jobs)


def _reason(observed: Observed, attempt: Attempt[AppBuildResult], step: Next[AppBuildResult]) -> str:
    current = observed.build.status.build if observed.build.status else None
    if current is not None and current.id == observed.identity and current.reason:
        return current.reason
    if isinstance(step, Done) and _is_of_before(attempt.job, current):
        return conditions.CACHE_HIT
    return why(observed.build, current, observed.source, observed.base, observed.token)


def _is_of_before(job: Object | None, current: AppBuildRun | None) -> bool:
    """Whether a Job is left of an earlier time that this build was asked for: it is older than the build in between. One
    that is younger was made for what spec asks now, by an operator that could not note it any more."""
    if job is None:
        return True
    return current is not None and current.started_at is not None and created(job) < current.started_at


def conclusion(observed: Observed, attempt: Attempt[AppBuildResult], step: Failed | Waiting) -> StoreLog:
    """The result that a killed pod could not write, with what is left of its log."""
    pod = max(attempt.pods, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), default=None)
    result = AppBuildResult(
        build_id=observed.identity,
        attempt=attempt.number,
        outcome="Failed",
        reason=step.reason,
        message=step.message[:4096],
        started_at=created(attempt.job) if attempt.job else step.at,
        finished_at=step.at,
    )
    return StoreLog(observed.build.metadata.namespace, pod["metadata"]["name"] if pod else "", BUILD_CONTAINER, result)


def build_tag(identity: str) -> str:
    """A tag of its own for each build: registries throw images away that no tag names."""
    return f"build-{identity.removeprefix('sha256:')[:12]}"


def build_request(observed: Observed, number: int) -> AppBuildRequest:
    """What attempt `number` is asked: the same as the attempts before it, or what was pinned now."""
    build = observed.build
    if observed.source is None or observed.base is None:
        assert observed.request is not None
        return observed.request.model_copy(update={"attempt": number})
    return AppBuildRequest(
        build_id=observed.identity,
        attempt=number,
        name=app_name(build),
        source=observed.source,
        entrypoint=build.spec.entrypoint,
        base=observed.base,
        requirements=build.spec.requirements,
        repository=build.spec.output.repository,
        credentials_secret=build.spec.output.credentials_secret or None,
        insecure_registries=observed.installation.insecure_registries,
        tags=(build_tag(observed.identity),),
        deadline_seconds=build.spec.deadline_seconds,
        refresh=observed.token is not None,
        previous=observed.previous,
    )
