"""What a ModelBuild's status says after a reconcile, and which events that deserves. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from slipway.api import conditions
from slipway.api.common import Failure
from slipway.api.model_build import ModelBuild, Promotion
from slipway.api.model_build_status import (
    ApprovalStatus,
    Build,
    BuildSummary,
    GateStatus,
    ModelBuildStatus,
    Version,
    status_metrics,
)
from slipway.controllers.model_build.observed import Observed
from slipway.controllers.model_build.plan import Decision, Finished, Settled, Working
from slipway.controllers.model_build.policy import HEALING, Case, Verdict, decide_promotion
from slipway.controllers.model_build.runs import run_events
from slipway.controllers.shared.attempts import Failed, Running, Start, Suspended, Waiting, created
from slipway.controllers.shared.conditions import of_reason
from slipway.reconcile.contract import Applied, Event, StatusUpdate
from slipway.registry.records import GateResult, Refusal, VersionRecord


def status(observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    """The whole status as it shall be, and the runs that began or ended with it."""
    match applied.decision:
        case Settled():
            update = _settled(observed, now)
        case Working() as working:
            update = _working(observed, working, applied, now)
        case Finished() as finished:
            update = _finished(observed, finished, applied, now)
    triggers = {"triggers": observed.triggers.to_dict()} if observed.triggers else {}
    rest = {name: value for name, value in update.status.items() if name != "triggers"}
    old = observed.build.status.build if observed.build.status else None
    record = applied.registered or observed.version
    runs = run_events(observed, old, update.status.get("build"), record, now)
    return replace(update, status={**rest, **triggers}, runs=runs)


def _old(build: ModelBuild) -> ModelBuildStatus:
    return build.status or ModelBuildStatus()


def _update(
    resource: ModelBuild, reason: str, message: str, now: datetime, *, events: tuple[Event, ...] = (), **fields: object
) -> StatusUpdate:
    old = _old(resource)
    generation = resource.metadata.generation
    new = old.model_copy(
        update={
            "observed_generation": generation,
            "conditions": of_reason(reason, message, old=old.conditions, generation=generation, now=now),
            **fields,
        }
    )
    return StatusUpdate(new.to_dict(), events)


def _settled(observed: Observed, now: datetime) -> StatusUpdate:
    """As status already says; conditions are derived again, since a fault that is over may have been noted there."""
    old = _old(observed.build)
    if old.build is not None and old.build.outcome == "Failed":
        failure = old.build.failure or Failure(reason=conditions.POD_FAILED)
        return _update(observed.build, failure.reason, failure.message, now)
    assert old.version is not None
    gates = tuple(_gate_result(gate) for gate in old.version.gates)
    promoted = old.version.promoted_to is not None
    refusal = _remembered(observed.build, old.version)
    case = Case(observed.build, gates, old.version.number, observed.approval, promoted, refusal=refusal)
    verdict = decide_promotion(case)
    reason, message = _told(observed, verdict)
    return _update(observed.build, reason, _version_words(old.version.number, message), now)


def _told(observed: Observed, verdict: Verdict) -> tuple[str, str]:
    """Reason and message: a build is done when those that follow its alias have begun."""
    if verdict.reason != conditions.PROMOTED or not observed.followers:
        return verdict.reason, verdict.message
    return conditions.PROMOTING, f"{verdict.message}; not begun yet: {', '.join(observed.followers)}"


def _remembered(build: ModelBuild, version: Version) -> Refusal | None:
    """The decision against a version, as status tells it."""
    approval, promotion = version.approval, build.spec.promotion
    if approval is None or approval.refused_by is None or promotion is None:
        return None
    return Refusal(
        model=build.model,
        alias=promotion.alias,
        version=version.number,
        at=approval.at or datetime.min.replace(tzinfo=UTC),
        by=approval.refused_by,
        reason=approval.reason or "",
        expired=bool(approval.expired),
        writer="",
    )


def _gate_result(gate: GateStatus) -> GateResult:
    value = float(gate.value) if gate.value is not None else None
    return GateResult(metric=gate.metric, passed=gate.passed, message=gate.message, value=value)


def _version_words(number: int, message: str) -> str:
    return f"version {number}: {message}"


# ---- under way ----


def _working(observed: Observed, working: Working, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    old = _old(observed.build)
    same = old.build if old.build and old.build.id == observed.identity else None
    build = _build(observed, same, working.reason, now)
    events: tuple[Event, ...] = ()
    match working.next:
        case Start(number, tries):
            job = applied.children[0]["metadata"]["name"] if applied.children else None
            update = {
                "attempt": number,
                "first_attempt": number - tries + 1,
                "job": job,
                "outcome": "Running",
                "failure": None,
                "retry_after": None,
                "finished_at": None,
            }
            build = build.model_copy(update=update)
            events = (Event("Normal", conditions.BUILDING, f"Job {job} started ({working.reason}), attempt {tries}"),)
            reason, message = conditions.BUILDING, f"Job {job} trains (attempt {tries})"
        case Running(message=words, trouble=trouble):
            attempt = observed.attempt
            number = attempt.number if attempt else 1
            job = attempt.job["metadata"]["name"] if attempt and attempt.job else build.job
            first = number - (attempt.tries if attempt else 1) + 1
            build = build.model_copy(
                update={"attempt": number, "first_attempt": first, "job": job, "outcome": "Running", "retry_after": None}
            )
            tries = attempt.tries if attempt else 1
            reason = conditions.BUILDING
            message = words or f"Job {job} trains (attempt {tries})"
            if trouble:
                events = _once(observed.build, message, Event("Warning", trouble, message))
        case Waiting(failed, words, until, at):
            build = _failed(observed, build, failed, words, at).model_copy(update={"retry_after": until.replace(microsecond=0)})
            reason, message = conditions.RETRYING, f"attempt {_tries(observed)} failed ({failed}): {words}"
            if failed in HEALING:
                reason, message = failed, words
            events = _once(observed.build, message, Event("Warning", failed, message))
        case Failed(failed, words, at):
            build = _failed(observed, build, failed, words, at)
            reason, message = failed, words
            events = _once(observed.build, message, Event("Warning", failed, message))
        case Suspended():
            reason, message = conditions.SUSPENDED, "spec.suspend is true: no attempt is started"
            if same is None:
                return _update(observed.build, reason, message, now)
        case _:
            raise TypeError(f"not a step under way: {working.next}")
    history = old.history
    if isinstance(working.next, Failed):
        history = _remember(history, build, None, _tries(observed))
    version = old.version if same else None
    return _update(observed.build, reason, message, now, events=events, build=build, history=history, version=version)


def _once(build: ModelBuild, message: str, event: Event) -> tuple[Event, ...]:
    ready = conditions.find(_old(build).conditions, conditions.READY)
    return () if ready is not None and ready.message == message else (event,)


def _tries(observed: Observed) -> int:
    return observed.attempt.tries if observed.attempt else 1


def _build(observed: Observed, same: Build | None, reason: str, now: datetime) -> Build:
    generation = observed.build.metadata.generation
    source = observed.pinned.source.digest if observed.pinned else (same.source if same else None)
    if same is not None:
        return same.model_copy(update={"generation": generation, "source": source, "rebuild": observed.token})
    return Build(
        id=observed.identity,
        reason=reason,
        generation=generation,
        source=source,
        rebuild=observed.token,
        started_at=_started(observed, now),
    )


def _started(observed: Observed, now: datetime) -> datetime:
    """A Job that is there already tells when it was made: the operator may have died before it could note that."""
    job = observed.attempt.job if observed.attempt else None
    return created(job) if job else now.replace(microsecond=0)


def _failed(observed: Observed, build: Build, reason: str, message: str, at: datetime) -> Build:
    attempt = observed.attempt
    number = attempt.number if attempt else 1
    return build.model_copy(
        update={
            "attempt": number,
            "first_attempt": number - _tries(observed) + 1,
            "job": attempt.job["metadata"]["name"] if attempt and attempt.job else build.job,
            "outcome": "Failed",
            "failure": Failure(reason=reason, message=message),
            "finished_at": at.replace(microsecond=0),
            "retry_after": None,
        }
    )


def _remember(history: tuple[BuildSummary, ...], build: Build, version: int | None, attempts: int) -> tuple[BuildSummary, ...]:
    if history and history[0].id == build.id and history[0].finished_at == build.finished_at:
        return history
    entry = BuildSummary(
        id=build.id,
        reason=build.reason,
        outcome="Succeeded" if version is not None else "Failed",
        failure=build.failure.reason if build.failure and version is None else None,
        version=version,
        attempts=attempts,
        started_at=build.started_at,
        finished_at=build.finished_at,
    )
    return (entry, *history)[:10]


# ---- there is a version ----


def _finished(observed: Observed, finished: Finished, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    record = applied.registered or observed.version
    assert record is not None
    old = _old(observed.build)
    same = old.build if old.build and old.build.id == observed.identity else None
    cached = finished.reason == conditions.CACHE_HIT
    build = _build(observed, same, finished.reason, now)
    attempt = observed.attempt
    job = attempt.job["metadata"]["name"] if attempt and attempt.job else build.job
    number = 0 if cached else (attempt.number if attempt else record.attempt)
    ended = build.finished_at or (now if cached else record.finished_at or record.created_at)
    build = build.model_copy(
        update={
            "attempt": number,
            "job": job,
            "outcome": "Succeeded",
            "failure": None,
            "retry_after": None,
            "finished_at": ended.replace(microsecond=0),
        }
    )
    promotion = observed.build.spec.promotion
    done = finished.verdict.reason == conditions.PROMOTED and promotion is not None
    promoted_to = promotion.alias if done and promotion else None
    version = _version(observed, finished, record, applied.refusal or observed.refusal, promoted_to, now)
    tries = 0 if cached else (attempt.tries if attempt else 1)
    history = _remember(old.history, build, record.version, tries)
    message = _version_words(record.version, finished.verdict.message)
    reason, words = _told(observed, finished.verdict)
    return _update(
        observed.build,
        reason,
        _version_words(record.version, words),
        now,
        events=_events(old, finished, record, message),
        build=build,
        version=version,
        history=history,
    )


def _version(
    observed: Observed,
    finished: Finished,
    record: VersionRecord,
    refusal: Refusal | None,
    promoted_to: str | None,
    now: datetime,
) -> Version:
    promotion = observed.build.spec.promotion
    approval = None
    if promotion is not None and promotion.approval == "Manual":
        old = _old(observed.build).version
        before = old.approval if old and old.number == record.version else None
        approval = before if before and before.approved_by else _waiting(before, promotion, finished, now)
        if finished.approved_by:
            approval = ApprovalStatus(required=True, approved_by=finished.approved_by[:253], at=now.replace(microsecond=0))
        elif refusal is not None and promoted_to is None:
            approval = _against(approval, refusal)
    gates = tuple(
        GateStatus(
            metric=gate.metric,
            passed=gate.passed,
            message=gate.message,
            value=f"{gate.value:.6g}" if gate.value is not None else None,
            bound=f"{gate.bound:.6g}" if gate.bound is not None else None,
        )
        for gate in finished.gates
    )
    return Version(
        number=record.version,
        digest=record.digest,
        metrics=status_metrics(record.metrics, [gate.metric for gate in finished.gates]),
        gates=gates,
        promoted_to=promoted_to,
        approval=approval,
    )


def _waiting(before: ApprovalStatus | None, promotion: Promotion, finished: Finished, now: datetime) -> ApprovalStatus:
    if finished.verdict.reason in (conditions.GATE_FAILED, conditions.METRIC_MISSING):
        return ApprovalStatus(required=True)
    since = (before.waiting_since if before else None) or now.replace(microsecond=0)
    seconds = promotion.approval_deadline_seconds
    until = since + timedelta(seconds=seconds) if seconds is not None else None
    return ApprovalStatus(required=True, waiting_since=since, expires_at=until)


def _against(approval: ApprovalStatus, refusal: Refusal) -> ApprovalStatus:
    said = {
        "refused_by": refusal.by[:253],
        "at": refusal.at.replace(microsecond=0),
        "reason": refusal.reason[:1024] or None,
        "expired": refusal.expired or None,
        "expires_at": None,
    }
    return approval.model_copy(update=said)


def _events(old: ModelBuildStatus, finished: Finished, record: VersionRecord, message: str) -> tuple[Event, ...]:
    """One event for the version, one for what became of it: each when it is new."""
    events = []
    known = old.version is not None and old.version.number == record.version
    if not known:
        how = "found: the same build was made before" if finished.reason == conditions.CACHE_HIT else "registered"
        events.append(Event("Normal", conditions.REGISTERED, f"version {record.version} {how} ({record.digest[:19]})"))
    ready = conditions.find(old.conditions, conditions.READY)
    verdict = finished.verdict.reason
    if verdict != conditions.REGISTERED and not (known and ready is not None and ready.reason == verdict):
        warning = conditions.REASONS[verdict].polarity == "stalled"
        events.append(Event("Warning" if warning else "Normal", verdict, message))
    return tuple(events)
