"""Decides a ModelBuild's next step and what has to be written for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from slipway.api import conditions
from slipway.controllers.model_build.job import job_manifest
from slipway.controllers.model_build.observed import Observed
from slipway.controllers.model_build.policy import (
    HEALING,
    Case,
    Verdict,
    decide_promotion,
    expires_at,
    is_what_was_planned,
    judge,
    promoter,
    why,
)
from slipway.controllers.model_build.validate import Valid
from slipway.controllers.shared.attempts import (
    Attempt,
    Done,
    Failed,
    Limits,
    Next,
    Start,
    Suspended,
    Waiting,
    created,
    next_step,
    of_other_builds,
)
from slipway.kube.resources import JOB
from slipway.provenance.facts import BuildFacts
from slipway.reconcile.contract import (
    Deletion,
    Move,
    MoveAlias,
    Planned,
    PutBlobs,
    PutRequest,
    RefusePromotion,
    RegisterVersion,
    StoreLog,
)
from slipway.registry.records import AttemptResult, GateResult, VersionDraft
from slipway.training.contract import RETRYABLE, BuildRequest

TRAIN_CONTAINER = "train"


@dataclass(frozen=True)
class Settled:
    """Nothing to do: status says it already."""


@dataclass(frozen=True)
class Working:
    """The build goes on, has to wait, or failed."""

    next: Next[AttemptResult]
    reason: str
    """Why the build was started."""


@dataclass(frozen=True)
class Finished:
    """There is a version."""

    gates: tuple[GateResult, ...]
    verdict: Verdict
    reason: str
    approved_by: str | None = None


Decision = Settled | Working | Finished

FOLLOWERS_LOOK = 0.5
"""Seconds until the next look whether those that follow the alias have begun."""


def plan(valid: Valid, now: datetime) -> Planned[Decision]:
    """The whole plan; `now` decides about retries, and whether an approval came too late."""
    observed = valid.observed
    if observed.settled:
        look = _next_look(observed, now)
        return Planned(decision=Settled(), live=observed.jobs, requeue_after=look)
    current = observed.build.status.build if observed.build.status else None
    same = current is not None and current.id == observed.identity
    compared = why(observed.build, current, observed.pinned, observed.token)
    reason = (current.reason if same and current else None) or observed.cause or compared
    if observed.version is not None:
        gates = _judge(observed, observed.version.metrics)
        cached = observed.attempt is None and not same
        return _promote(observed, gates, None, conditions.CACHE_HIT if cached else reason, now)
    assert observed.attempt is not None
    step = next_step(observed.attempt, _limits(observed), now)
    if isinstance(step, Done):
        gates = _judge(observed, step.result.metrics)
        return _promote(observed, gates, draft_version(observed, step.result, gates, reason), reason, now)
    return _work(observed, observed.attempt, step, reason, now)


def _next_look(observed: Observed, now: datetime) -> float | None:
    """Seconds until something may have come about by itself: a time of the schedule, the end of the wait for an approval, or
    those that follow the alias have begun."""
    version = observed.build.status.version if observed.build.status else None
    expiry = expires_at(observed.build, version.number) if version and not version.promoted_to else None
    times = [time for time in (observed.look_at, expiry if expiry and expiry > now else None) if time is not None]
    looks = [max(0.0, (time - now).total_seconds()) for time in times] + ([FOLLOWERS_LOOK] if observed.followers else [])
    return min(looks, default=None)


def _limits(observed: Observed) -> Limits:
    spec = observed.build.spec
    return Limits(spec.retry_limit, spec.backoff_seconds, RETRYABLE, spec.suspend, HEALING)


def _judge(observed: Observed, metrics: dict[str, float]) -> tuple[GateResult, ...]:
    evaluation = observed.build.spec.evaluation
    if evaluation is None:
        return ()
    return judge(evaluation.gates, evaluation.on_missing, metrics, observed.baselines)


def _promote(
    observed: Observed, gates: tuple[GateResult, ...], draft: VersionDraft | None, reason: str, now: datetime
) -> Planned[Decision]:
    build = observed.build
    number = observed.version.version if observed.version else None
    expiry = expires_at(build, number) if number is not None else None
    expired = expiry is not None and now >= expiry
    case = Case(build, gates, number, observed.approval, observed.promoted, observed.wish, observed.refusal, expired)
    verdict = decide_promotion(case)
    moves: list[Move] = [RegisterVersion(draft, build_facts(observed))] if draft else []
    approved_by = None
    if verdict.promote and build.spec.promotion:
        manual = build.spec.promotion.approval == "Manual"
        approved_by = ((observed.approval.by if observed.approval else "") or "annotation") if manual else None
        words = observed.approval.reason if manual and observed.approval else ""
        moves.append(
            MoveAlias(
                build.model,
                build.spec.promotion.alias,
                number,
                by=approved_by or promoter(build),
                reason=f"{promoter(build)}: {words or 'gates passed'}",
            )
        )
    if verdict.refuse and build.spec.promotion and number is not None:
        moves.append(_refusal(observed, build.spec.promotion.alias, number, verdict))
    decision = Finished(gates, verdict, reason, approved_by)
    look = FOLLOWERS_LOOK if observed.followers and verdict.reason == conditions.PROMOTED else None
    return Planned(decision=decision, deletions=_superseded(observed), after=tuple(moves), live=observed.jobs, requeue_after=look)


def _refusal(observed: Observed, alias: str, number: int, verdict: Verdict) -> RefusePromotion:
    build, wish = observed.build, observed.wish
    if verdict.reason == conditions.APPROVAL_EXPIRED or wish is None:
        return RefusePromotion(build.model, alias, number, promoter(build), verdict.message, expired=True)
    return RefusePromotion(build.model, alias, number, wish.by or "annotation", wish.reason)


def _superseded(observed: Observed) -> tuple[Deletion, ...]:
    return tuple(
        Deletion(JOB, job["metadata"]["namespace"], job["metadata"]["name"], job["metadata"]["uid"])
        for job in of_other_builds(observed.jobs, observed.identity)
    )


def _work(
    observed: Observed, attempt: Attempt[AttemptResult], step: Next[AttemptResult], reason: str, now: datetime
) -> Planned[Decision]:
    decision = Working(step, reason)
    deletions = _superseded(observed)
    if isinstance(step, Start):
        request = build_request(observed, step.number)
        before = (
            *((PutBlobs(observed.blobs),) if observed.blobs else ()),
            PutRequest(observed.identity, step.number, request.to_json()),
        )
        job = job_manifest(observed, request)
        return Planned(decision, before=before, children=(job,), deletions=deletions, live=observed.jobs)
    before_log: tuple[Move, ...] = ()
    if isinstance(step, Failed | Waiting) and step.conclude:
        before_log = (conclusion(observed, attempt, step, now),)
    requeue = max(0.0, (step.until - now).total_seconds()) if isinstance(step, Waiting) else None
    if isinstance(step, Suspended):
        requeue = None
    return Planned(decision, before=before_log, deletions=deletions, requeue_after=requeue, live=observed.jobs)


def conclusion(observed: Observed, attempt: Attempt[AttemptResult], step: Failed | Waiting, now: datetime) -> StoreLog:
    """The result that a killed pod could not write, with what is left of its log."""
    pod = max(attempt.pods, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), default=None)
    result = AttemptResult(
        build_id=observed.identity,
        attempt=attempt.number,
        outcome="Failed",
        reason=step.reason,
        message=step.message[:4096],
        params=observed.build.spec.trainer.params,
        started_at=created(attempt.job) if attempt.job else step.at,
        finished_at=step.at,
    )
    name = pod["metadata"]["name"] if pod else ""
    return StoreLog(observed.build.metadata.namespace, name, TRAIN_CONTAINER, result)


def build_request(observed: Observed, number: int) -> BuildRequest:
    """What attempt `number` is asked: the same as the attempts before it, or what was pinned now."""
    build, trainer = observed.build, observed.build.spec.trainer
    if observed.pinned is None:
        assert observed.request is not None
        return observed.request.model_copy(update={"attempt": number})
    return BuildRequest(
        model=build.model,
        build_id=observed.identity,
        attempt=number,
        source=observed.pinned.source,
        entrypoint=trainer.entrypoint,
        params=trainer.params,
        inputs=observed.pinned.inputs,
        image=trainer.image or observed.installation.training_image,
        trusted_types=observed.installation.trusted_types,
        deadline_seconds=build.spec.deadline_seconds,
    )


def build_facts(observed: Observed) -> BuildFacts:
    """What this operator knows of a build by itself, for its provenance: what it asked, not what the pod reports."""
    if observed.pinned is None and observed.request is None:
        return BuildFacts()
    request = build_request(observed, observed.attempt.number if observed.attempt else 1)
    return BuildFacts(
        entrypoint=request.entrypoint,
        image=request.image,
        params=request.params,
        source=request.source,
        inputs=request.inputs,
        checked=observed.pinned is not None or is_what_was_planned(observed.build, observed.identity, request, observed.token),
    )


def draft_version(observed: Observed, result: AttemptResult, gates: tuple[GateResult, ...], reason: str) -> VersionDraft:
    """The version that a successful attempt becomes."""
    environment = result.environment
    if environment.image is None:
        image = observed.build.spec.trainer.image or observed.installation.training_image
        environment = environment.model_copy(update={"image": image})
    return VersionDraft(
        model=observed.build.model,
        build_id=observed.identity,
        reason=reason,
        files=result.files,
        format=result.format or "unknown",
        signature=result.signature,
        params=result.params,
        metrics=result.metrics,
        gates=gates,
        conversion=result.conversion,
        environment=environment,
        inputs=result.inputs,
        source=result.source,
        reports=result.reports,
        logs=result.logs,
        attempt=result.attempt,
        started_at=result.started_at,
        finished_at=result.finished_at,
        timings=result.timings,
        builder=promoter(observed.build),
    )
