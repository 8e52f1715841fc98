"""Notices of a build's begin and end, which both kinds of builds have. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from slipway.api.common import Failure, format_time
from slipway.reconcile.notices import Notice

STARTED, SUCCEEDED, FAILED = "build-started", "build-succeeded", "build-failed"


class Run(Protocol):
    """What ``status.build`` of both kinds says."""

    @property
    def id(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def attempt(self) -> int | None: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def finished_at(self) -> datetime | None: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def failure(self) -> Failure | None: ...


def run_notices(run: Run | None, result: Mapping[str, Any]) -> Iterator[Notice]:
    """Begin and end of the last attempt. `result` is what a build that succeeded gave. A result that was found and not built
    has no attempt, and nobody is told."""
    if run is None or not run.attempt or run.started_at is None:
        return
    about = f"{run.id}/{run.attempt}/{format_time(run.started_at)}"
    facts = {"build": run.id, "attempt": run.attempt, "reason": run.reason}
    yield Notice(STARTED, about, run.started_at, f"attempt {run.attempt} of a build has begun ({run.reason})", facts)
    if run.finished_at is None:
        return
    if run.outcome == "Succeeded":
        yield Notice(SUCCEEDED, about, run.finished_at, "the build has succeeded", facts | dict(result))
    elif run.outcome == "Failed":
        failure = run.failure or Failure(reason="Failed")
        words = f"attempt {run.attempt} has failed: {failure.message}"
        yield Notice(FAILED, about, run.finished_at, words, facts | {"failure": failure.reason})
