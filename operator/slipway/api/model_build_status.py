"""What a ModelBuild's status says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field

from slipway.api.common import HISTORY, Digest, Failure, Message, Model, Newest, ReasonName, Time
from slipway.api.conditions import Condition

MAX_METRICS = 100


class Build(Model):
    """The current or last build."""

    id: Digest = Field(description="Build identity: digest of everything that determines the result.")
    reason: ReasonName | None = Field(
        default=None,
        description="Why it was started: FirstBuild, SpecChanged, SourceChanged, InputChanged, Scheduled, Forced or CacheHit.",
    )
    attempt: int | None = Field(default=None, ge=0, description="Number of the attempt, from 1.")
    first_attempt: int | None = Field(
        default=None,
        ge=1,
        description="Number of this resource's first attempt; higher than 1 when others tried the same build before.",
    )
    job: str | None = Field(default=None, max_length=253, description="Name of the Job of this attempt.")
    rebuild: str | None = Field(default=None, max_length=300, description="The word by which this build was forced.")
    generation: int | None = Field(default=None, ge=0, description="metadata.generation that the build was made for.")
    source: Digest | None = Field(default=None, description="Digest of the source.")
    started_at: Time | None = Field(default=None, description="When the first attempt was started.")
    finished_at: Time | None = Field(default=None, description="When the last attempt ended.")
    outcome: Literal["Running", "Succeeded", "Failed"] | None = Field(default=None, description="Running, Succeeded or Failed.")
    failure: Failure | None = Field(default=None, description="Why the last attempt failed.")
    retry_after: Time | None = Field(default=None, description="When the next attempt may start.")


class GateStatus(Model):
    metric: str = Field(max_length=100, description="The gate's metric.")
    passed: bool = Field(description="Whether the gate holds.")
    message: Message = Field(default="", description="The comparison in words.")
    value: str | None = Field(default=None, max_length=64, description="The metric's value.")
    bound: str | None = Field(default=None, max_length=64, description="What it was compared with.")


class ApprovalStatus(Model):
    required: bool = Field(description="Whether the promotion waits for a person.")
    approved_by: str | None = Field(default=None, max_length=253, description="Who approved.")
    at: Time | None = Field(default=None, description="When the approval or the refusal was seen.")
    waiting_since: Time | None = Field(default=None, description="Since when the version waits.")
    expires_at: Time | None = Field(default=None, description="When it stops waiting (promotion.approvalDeadlineSeconds).")
    refused_by: str | None = Field(default=None, max_length=253, description="Who refused; this resource, when it expired.")
    expired: bool | None = Field(default=None, description="true: nobody approved in time.")
    reason: str | None = Field(default=None, max_length=1024, description="Why it was refused.")


class Version(Model):
    """The version that the current build gave."""

    number: int = Field(ge=1, description="Number in the registry.")
    digest: Digest = Field(description="Root digest of the version's files.")
    metrics: dict[str, Annotated[str, Field(max_length=64)]] = Field(
        default_factory=dict,
        max_length=MAX_METRICS,
        description="Metrics by name, as text; those of gates first, at most 100.",
    )
    gates: tuple[GateStatus, ...] = Field(default=(), max_length=20, description="How each gate came out.")
    promoted_to: str | None = Field(default=None, max_length=63, description="Alias that was moved to this version.")
    approval: ApprovalStatus | None = Field(default=None, description="With approval: Manual, how the approval stands.")


class BuildSummary(Model):
    id: Digest = Field(description="Build identity.")
    reason: ReasonName | None = Field(default=None, description="Why it was started.")
    outcome: Literal["Succeeded", "Failed"] = Field(description="Succeeded or Failed.")
    failure: ReasonName | None = Field(default=None, description="Why it failed.")
    version: int | None = Field(default=None, ge=1, description="Number of the version it gave.")
    attempts: int | None = Field(default=None, ge=0, description="How many attempts it took; 0 for a cache hit.")
    started_at: Time | None = Field(default=None, description="When it was started.")
    finished_at: Time | None = Field(default=None, description="When it ended.")


class PendingChange(Model):
    """A change of source or inputs that has not stood still for long enough."""

    digest: Digest = Field(description="Build identity that the change would give.")
    since: Time = Field(description="Since when it has been as it is.")
    first: Time = Field(description="When it was first seen to be changing.")


class TriggersStatus(Model):
    last_schedule_time: Time | None = Field(default=None, description="The newest time of the schedule that was acted on.")
    next_schedule_time: Time | None = Field(default=None, description="The next time of the schedule.")
    schedule: str | None = Field(
        default=None, max_length=170, description="Schedule and zone that these times belong to: another one counts from now on."
    )
    pending: PendingChange | None = Field(default=None, description="A change that waits for triggers.debounceSeconds.")


class ModelBuildStatus(Model):
    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that this status is about.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Ready, Reconciling, Stalled; their reasons are listed in docs/spec/v1alpha1/model-build.md.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    build: Build | None = Field(default=None, description="The current or last build.")
    version: Version | None = Field(default=None, description="The version that the current build gave.")
    triggers: TriggersStatus | None = Field(
        default=None, description="How schedule and triggers stand; absent when there are none."
    )
    history: Annotated[tuple[BuildSummary, ...], Newest] = Field(
        default=(), max_length=HISTORY, description="The last ten finished builds, newest first."
    )


def status_metrics(metrics: Mapping[str, float], first: Iterable[str] = ()) -> dict[str, str]:
    """Metrics as status shows them: as text, those named in `first` before the others, as many as the schema takes."""
    names = [*(name for name in dict.fromkeys(first) if name in metrics), *sorted(metrics)]
    return {name: f"{metrics[name]:.6g}" for name in list(dict.fromkeys(names))[:MAX_METRICS]}
