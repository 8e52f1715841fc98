"""Attempts of a build: one Job each. What state the present one is in, and whether another one follows. Pure.

Both kinds of builds go through here, so that retry, deadline, suspension and a Job that vanished mean the same for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from slipway.api.common import LABEL_ATTEMPT, LABEL_BUILD
from slipway.controllers.shared.objects import short
from slipway.controllers.shared.pods import trouble
from slipway.kube.port import Object
from slipway.registry.records import JobResult

DEADLINE_EXCEEDED = "DeadlineExceeded"
JOB_GONE = "JobGone"
POD_FAILED = "PodFailed"
LONGEST_PAUSE = timedelta(minutes=10)


R = TypeVar("R", bound=JobResult)


@dataclass(frozen=True)
class Attempt(Generic[R]):
    """The facts of the present attempt of a build. `number` counts over the life of a build identity, `tries` over this
    resource's: somebody else's failed attempts do not use up our retries."""

    number: int
    tries: int
    job: Object | None = None
    pods: tuple[Object, ...] = ()
    result: R | None = None
    started: bool = False
    """Our status says that its Job was made."""


@dataclass(frozen=True)
class Limits:
    retries: int
    backoff_seconds: float
    retryable: frozenset[str]
    suspend: bool = False
    patient: frozenset[str] = frozenset()
    """Reasons that heal by themselves: tried again whatever `retries` says, at pauses that end at `LONGEST_PAUSE`."""


# ---- what a build shall do next ----


@dataclass(frozen=True)
class Start:
    """Make the Job of attempt `number`."""

    number: int
    tries: int


@dataclass(frozen=True)
class Running:
    message: str
    trouble: str = ""
    """Reason when something keeps the pod from running."""


@dataclass(frozen=True)
class Done(Generic[R]):
    result: R


@dataclass(frozen=True)
class Failed:
    """No further attempt. `conclude`: the pod could not write its result; it shall be written for it, log included."""

    reason: str
    message: str
    at: datetime
    conclude: bool = False


@dataclass(frozen=True)
class Waiting:
    """The attempt failed; the next one starts at `until`."""

    reason: str
    message: str
    until: datetime
    at: datetime
    conclude: bool = False


@dataclass(frozen=True)
class Suspended:
    pass


Next = Start | Running | Done[R] | Failed | Waiting | Suspended


def next_step(attempt: Attempt[R], limits: Limits, now: datetime) -> Next[R]:
    """What to do about the present attempt. A result outweighs what the Job shows: a finished build is terminal even when
    its Job is gone."""
    if attempt.result is not None:
        if attempt.result.outcome == "Succeeded":
            return Done(attempt.result)
        result = attempt.result
        return _after_failure(attempt, limits, result.reason, result.message, result.finished_at, now, conclude=False)
    if attempt.job is None:
        if attempt.started:
            message = "the Job was deleted before it finished"
            return _after_failure(attempt, limits, JOB_GONE, message, now, now, conclude=True)
        return Suspended() if limits.suspend else Start(attempt.number, attempt.tries)
    ended = _ended(attempt.job)
    if ended is None:
        found = trouble(attempt.pods)
        return Running(found.message if found else "", found.reason if found else "")
    reason, message = _job_failure(attempt)
    return _after_failure(attempt, limits, reason, message, ended, now, conclude=True)


def _after_failure(
    attempt: Attempt[R], limits: Limits, reason: str, message: str, at: datetime, now: datetime, *, conclude: bool
) -> Next[R]:
    pause = timedelta(seconds=limits.backoff_seconds * 2 ** min(attempt.tries - 1, 20))
    if reason in limits.patient:
        pause = min(pause, LONGEST_PAUSE)
    elif reason not in limits.retryable or attempt.tries > limits.retries:
        return Failed(reason, message, at, conclude)
    until = at + pause
    if now < until or conclude:
        return Waiting(reason, message, until, at, conclude)
    return Suspended() if limits.suspend else Start(attempt.number + 1, attempt.tries + 1)


def _ended(job: Object) -> datetime | None:
    """When the Job ended, well or not; None while it runs."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            return parse_time(condition["lastTransitionTime"])
    return None


def _job_failure(attempt: Attempt[R]) -> tuple[str, str]:
    """Reason and words for a Job that ended without a result."""
    job = attempt.job or {}
    for condition in job.get("status", {}).get("conditions", ()):
        if condition.get("type") == "Failed" and condition.get("reason") == DEADLINE_EXCEEDED:
            seconds = job.get("spec", {}).get("activeDeadlineSeconds")
            return DEADLINE_EXCEEDED, f"not finished after {seconds} s (spec.deadlineSeconds)"
    found = trouble(attempt.pods)
    if found and found.reason:
        return found.reason, found.message
    return POD_FAILED, found.message if found else "the pod ended without a result, and is gone: evicted, or its node was lost"


def created(job: Object) -> datetime:
    return parse_time(job["metadata"]["creationTimestamp"])


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def of_build(jobs: Iterable[Object], build_id: str) -> dict[int, Object]:
    """The Jobs of one build by attempt number."""
    return {
        int(job["metadata"]["labels"].get(LABEL_ATTEMPT, "1")): job
        for job in jobs
        if job["metadata"].get("labels", {}).get(LABEL_BUILD) == short(build_id)
    }


def of_other_builds(jobs: Iterable[Object], build_id: str) -> tuple[Object, ...]:
    """Jobs of earlier specs that still run: nobody waits for them any more."""
    return tuple(
        job for job in jobs if job["metadata"].get("labels", {}).get(LABEL_BUILD) != short(build_id) and _ended(job) is None
    )
