"""What an AppBuild's status says after a reconcile, and which events that deserves. Pure."""

from __future__ import annotations

from datetime import datetime

from slipway.api import conditions
from slipway.api.app_build import AppBuildRun, AppBuildStatus, Layer
from slipway.api.common import Failure
from slipway.controllers.app_build.observed import Observed
from slipway.controllers.app_build.plan import Decision, Settled, Working
from slipway.controllers.app_build.policy import HEALING, condition_reason, requirements_digest
from slipway.controllers.shared.attempts import Done, Failed, Running, Start, Suspended, Waiting, created
from slipway.controllers.shared.conditions import of_reason
from slipway.images.contract import AppBuildResult
from slipway.reconcile.contract import Applied, Event, StatusUpdate


def status(observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    """The whole status as it shall be."""
    if isinstance(applied.decision, Settled):
        return _settled(observed, now)
    return _working(observed, applied.decision, applied, now)


def _old(observed: Observed) -> AppBuildStatus:
    return observed.build.status or AppBuildStatus()


def _update(
    observed: Observed, reason: str, message: str, now: datetime, events: tuple[Event, ...] = (), **fields: object
) -> StatusUpdate:
    old = _old(observed)
    generation = observed.build.metadata.generation
    merged = of_reason(reason, message, old=old.conditions, generation=generation, now=now)
    new = old.model_copy(update={"observed_generation": generation, "conditions": merged, **fields})
    return StatusUpdate(new.to_dict(), events)


def _settled(observed: Observed, now: datetime) -> StatusUpdate:
    """As status already says; conditions are derived again, since a fault that is over may have been noted there."""
    old = _old(observed)
    if old.build is not None and old.build.outcome == "Failed":
        failure = old.build.failure or Failure(reason=conditions.BUILD_FAILED)
        return _update(observed, failure.reason, failure.message, now)
    return _update(observed, conditions.PUSHED, _pushed(old.image or ""), now)


def _pushed(image: str) -> str:
    return f"pushed {image}"


def _working(observed: Observed, working: Working, applied: Applied[Decision], now: datetime) -> StatusUpdate:
    same = _same(observed)
    build = _run(observed, same, working.reason, now)
    match working.next:
        case Start(number, tries):
            job = applied.children[0]["metadata"]["name"] if applied.children else None
            build = _attempt(build, number, tries, job, outcome="Running")
            event = Event("Normal", conditions.BUILDING, f"Job {job} started ({working.reason}), attempt {tries}")
            return _update(observed, conditions.BUILDING, f"Job {job} builds (attempt {tries})", now, (event,), build=build)
        case Running(message=words, trouble=trouble):
            build = _attempt(build, _number(observed), _tries(observed), _job(observed, build), outcome="Running")
            message = words or f"Job {build.job} builds (attempt {_tries(observed)})"
            events = _once(observed, message, Event("Warning", trouble, message)) if trouble else ()
            return _update(observed, conditions.BUILDING, message, now, events, build=build)
        case Done(result):
            return _done(observed, build, result, working.reason, now)
        case Waiting(failed, words, until, at):
            build = _failed(observed, build, failed, words, at)
            build = build.model_copy(update={"retry_after": until.replace(microsecond=0)})
            message = f"attempt {_tries(observed)} failed ({failed}): {words}"
            events = _once(observed, words if failed in HEALING else message, Event("Warning", condition_reason(failed), message))
            if failed in HEALING:
                return _update(observed, condition_reason(failed), words, now, events, build=build)
            return _update(observed, conditions.RETRYING, message, now, events, build=build)
        case Failed(failed, words, at):
            build = _failed(observed, build, failed, words, at)
            reason = condition_reason(failed)
            return _update(observed, reason, words, now, _once(observed, words, Event("Warning", reason, words)), build=build)
        case Suspended():
            message = "spec.suspend is true: no attempt is started"
            return _update(
                observed, conditions.SUSPENDED, message, now, build=build if same is not None else _old(observed).build
            )
    raise TypeError(f"not a step of a build: {working.next}")


def _same(observed: Observed) -> AppBuildRun | None:
    build = _old(observed).build
    return build if build and build.id == observed.identity else None


def _number(observed: Observed) -> int:
    return observed.attempt.number if observed.attempt else 1


def _tries(observed: Observed) -> int:
    return observed.attempt.tries if observed.attempt else 1


def _job(observed: Observed, build: AppBuildRun) -> str | None:
    job = observed.attempt.job if observed.attempt else None
    return job["metadata"]["name"] if job else build.job


def _once(observed: Observed, message: str, event: Event) -> tuple[Event, ...]:
    ready = conditions.find(_old(observed).conditions, conditions.READY)
    return () if ready is not None and ready.message == message else (event,)


def _run(observed: Observed, same: AppBuildRun | None, reason: str, now: datetime) -> AppBuildRun:
    generation = observed.build.metadata.generation
    if same is not None:
        source = observed.source.digest if observed.source else same.source
        return same.model_copy(
            update={
                "generation": generation,
                "source": source,
                "rebuild": observed.token,
                "requirements": requirements_digest(observed.build),
            }
        )
    job = observed.attempt.job if observed.attempt else None
    return AppBuildRun(
        id=observed.identity,
        reason=reason,
        generation=generation,
        source=observed.source.digest if observed.source else None,
        rebuild=observed.token,
        base=observed.base,
        requirements=requirements_digest(observed.build),
        started_at=created(job) if job else now.replace(microsecond=0),
    )


def _attempt(build: AppBuildRun, number: int, tries: int, job: str | None, *, outcome: str) -> AppBuildRun:
    return build.model_copy(
        update={
            "attempt": number,
            "first_attempt": number - tries + 1,
            "job": job,
            "outcome": outcome,
            "failure": None,
            "retry_after": None,
            "finished_at": None,
        }
    )


def _failed(observed: Observed, build: AppBuildRun, reason: str, message: str, at: datetime) -> AppBuildRun:
    build = _attempt(build, _number(observed), _tries(observed), _job(observed, build), outcome="Failed")
    failure = Failure(reason=condition_reason(reason), message=message)
    return build.model_copy(update={"failure": failure, "finished_at": at.replace(microsecond=0)})


def _done(observed: Observed, build: AppBuildRun, result: AppBuildResult, reason: str, now: datetime) -> StatusUpdate:
    cached = reason == conditions.CACHE_HIT
    build = _attempt(build, 0 if cached else _number(observed), _tries(observed), _job(observed, build), outcome="Succeeded")
    build = build.model_copy(
        update={
            "first_attempt": None if cached else build.first_attempt,
            "base": build.base or result.base,
            "layers": tuple(Layer(digest=layer.digest, size=layer.size, holds=layer.holds) for layer in result.layers),
            "sbom": result.sbom,
            "bytes_sent": 0 if cached else result.bytes_sent,
            "seconds": round((result.finished_at - result.started_at).total_seconds(), 1),
            "finished_at": (build.started_at if cached else result.finished_at.replace(microsecond=0)),
        }
    )
    image = result.image or ""
    known = _old(observed).image == image
    words = "found: the same build was made before" if cached else f"pushed {image}"
    events = () if known else (Event("Normal", conditions.PUSHED, words),)
    return _update(observed, conditions.PUSHED, _pushed(image), now, events, build=build, image=image)
