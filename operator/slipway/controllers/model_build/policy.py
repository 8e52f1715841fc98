"""What a build is, whether its gates hold, and whether it is promoted: decisions of a ModelBuild. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.api import conditions
from slipway.api.common import Approval
from slipway.api.model_build import Gate, ModelBuild, Promotion
from slipway.api.model_build_status import Build
from slipway.registry.records import GateResult, Refusal, VersionRecord, digest_of
from slipway.sources.pinned import PinnedInput, PinnedSource, git_digest, input_digest, s3_digest
from slipway.training import contract

MAX_LOST = 1000
"""Versions that are tried as the one which a build replaces."""


@dataclass(frozen=True)
class PinnedBuild:
    """Source and inputs as they are at one moment."""

    source: PinnedSource
    inputs: tuple[PinnedInput, ...]


def build_identity(build: ModelBuild, pinned: PinnedBuild, training_image: str, token: str | None) -> str:
    """The digest of everything that determines the result: code, image, command, parameters, data, and the pod's own
    settings. Gates and promotion are left out: they judge the result. `token` forces a build of its own."""
    trainer = build.spec.trainer
    return digest_of(
        {
            "model": build.model,
            "source": pinned.source.digest,
            "image": trainer.image or training_image,
            "entrypoint": trainer.entrypoint,
            "command": trainer.command,
            "args": trainer.args,
            "params": trainer.params,
            "inputs": {entry.name: entry.digest for entry in pinned.inputs},
            "podTemplate": trainer.pod_template,
            "force": token,
        }
    )


def is_what_was_planned(build: ModelBuild, identity: str, request: contract.BuildRequest, token: str | None) -> bool:
    """Whether a request, as it lies in the bucket where the build's own pod can write, still is what `identity` stands
    for."""
    trainer = build.spec.trainer
    if (request.entrypoint, request.model) != (trainer.entrypoint, build.model) or request.params != trainer.params:
        return False
    pinned = PinnedBuild(request.source, request.inputs)
    planned = build_identity(build, pinned, request.image, token)
    known = (planned, *(replacing(planned, lost) for lost in range(1, MAX_LOST)))
    return identity in known and _pins_hold(request)


def replacing(identity: str, lost: int) -> str:
    """The identity of a build that replaces version `lost`, whose bytes are gone: a version never changes, so what is built
    again needs an identity, and a number, of its own."""
    return digest_of({"build": identity, "lost": lost})


def _pins_hold(request: contract.BuildRequest) -> bool:
    """Whether each digest in a request is that of the objects beside it."""
    inputs = all(input_digest(entry) == entry.digest for entry in request.inputs)
    source = request.source
    if source.s3 is not None:
        return inputs and s3_digest(source.s3) == source.digest
    return inputs and (source.git is None or git_digest(source.git) == source.digest)


def why(build: ModelBuild, current: Build | None, pinned: PinnedBuild | None, token: str | None) -> str:
    """Why a build was started: a word of `conditions.BUILD_REASONS`."""
    if current is None:
        return conditions.FIRST_BUILD
    if token != current.rebuild:
        return conditions.FORCED
    if build.metadata.generation != current.generation:
        return conditions.SPEC_CHANGED
    if pinned is not None and pinned.source.digest != current.source:
        return conditions.BUILD_SOURCE_CHANGED
    return conditions.BUILD_INPUT_CHANGED


def expires_at(build: ModelBuild, number: int) -> datetime | None:
    """When version `number` stops waiting for its approval; None: never, or it has not begun to."""
    promotion, version = build.spec.promotion, build.status.version if build.status else None
    if promotion is None or promotion.approval != "Manual" or promotion.approval_deadline_seconds is None:
        return None
    if version is None or version.number != number or version.approval is None or version.approval.waiting_since is None:
        return None
    return version.approval.waiting_since + timedelta(seconds=promotion.approval_deadline_seconds)


def is_settled(
    build: ModelBuild, token: str | None, said: Iterable[Approval | None], now: datetime, *, source_changed: bool
) -> bool:
    """Whether the build that status tells of has ended and nothing that could change that has happened since. `said`: what
    annotations say of the promotion of a version."""
    status = build.status
    if status is None or status.build is None or source_changed:
        return False
    current = status.build
    if current.generation != build.metadata.generation or current.rebuild != token:
        return False
    if current.outcome == "Failed":
        reason = current.failure.reason if current.failure else ""
        return current.retry_after is None and reason not in (contract.SOURCE_CHANGED, contract.INPUT_CHANGED)
    if current.outcome != "Succeeded" or status.version is None:
        return False
    version = status.version
    refused = version.approval is not None and version.approval.refused_by is not None
    failed = any(not gate.passed for gate in version.gates)
    if build.spec.promotion is None or version.promoted_to is not None or refused or failed:
        return True
    expiry = expires_at(build, version.number)
    spoken = any(one is not None and one.version == version.number for one in said)
    return not spoken and (expiry is None or now < expiry)


def promoter(build: ModelBuild) -> str:
    """How the history of an alias names this resource."""
    return f"ModelBuild {build.metadata.namespace}/{build.metadata.name}"


HEALING = frozenset({contract.SOURCE_MISSING, contract.INPUT_MISSING, contract.STORE_UNAVAILABLE})
"""What a pod found missing or down and may appear by itself: its build is never given up. Their conditions say so."""


# ---- gates ----


def judge(
    gates: Iterable[Gate], on_missing: str, metrics: Mapping[str, float], baselines: Mapping[str, VersionRecord]
) -> tuple[GateResult, ...]:
    """How each gate comes out for `metrics`."""
    return tuple(_judge_one(gate, on_missing, metrics, baselines) for gate in gates)


def _judge_one(gate: Gate, on_missing: str, metrics: Mapping[str, float], baselines: Mapping[str, VersionRecord]) -> GateResult:
    value = metrics.get(gate.metric)
    if value is None:
        known = ", ".join(sorted(metrics)) or "none"
        return GateResult(
            metric=gate.metric,
            passed=on_missing == "Ignore",
            message=f"{gate.metric} was never logged (logged: {known}); evaluation.onMissing is {on_missing}",
        )
    if gate.min is not None:
        return _result(gate, value, gate.min, value >= gate.min, "≥" if value >= gate.min else "<")
    if gate.max is not None:
        return _result(gate, value, gate.max, value <= gate.max, "≤" if value <= gate.max else ">")
    return _against_baseline(gate, value, baselines.get(gate.no_worse_than or ""))


def _result(gate: Gate, value: float, bound: float, passed: bool, sign: str, note: str = "") -> GateResult:
    message = f"{gate.metric} {value:.6g} {sign} {bound:.6g}{note}"
    return GateResult(metric=gate.metric, passed=passed, message=message, value=value, bound=bound)


def _against_baseline(gate: Gate, value: float, baseline: VersionRecord | None) -> GateResult:
    alias = gate.no_worse_than or ""
    theirs = baseline.metrics.get(gate.metric) if baseline else None
    if baseline is None or theirs is None or not math.isfinite(theirs):
        lacking = f"{alias} (version {baseline.version}) has no {gate.metric}" if baseline else f"there is no {alias} yet"
        return GateResult(metric=gate.metric, passed=True, message=f"{gate.metric} {value:.6g}: {lacking}", value=value)
    tolerance = gate.tolerance or 0.0
    bound = theirs + tolerance if gate.lower_is_better else theirs - tolerance
    passed = value <= bound if gate.lower_is_better else value >= bound
    sign = ("≤" if passed else ">") if gate.lower_is_better else ("≥" if passed else "<")
    note = f" ({alias} is version {baseline.version} with {theirs:.6g}" + (f", tolerance {tolerance:.6g})" if tolerance else ")")
    return _result(gate, value, bound, passed, sign, note)


# ---- promotion: a chain of predicates, the first that speaks decides ----


@dataclass(frozen=True)
class Case:
    """What is known of a version when its promotion is decided."""

    build: ModelBuild
    gates: tuple[GateResult, ...]
    number: int | None
    """None: not registered yet."""
    approval: Approval | None
    promoted: bool
    wish: Approval | None = None
    """What a person says against it."""
    refusal: Refusal | None = None
    """What is remembered against it."""
    expired: bool = False
    """It has waited for long enough."""


@dataclass(frozen=True)
class Verdict:
    reason: str
    message: str
    promote: bool = False
    refuse: bool = False
    """It is to be remembered that the version is not promoted."""


def _metric_missing(case: Case) -> Verdict | None:
    missing = [gate for gate in case.gates if not gate.passed and gate.value is None]
    return Verdict(conditions.METRIC_MISSING, "; ".join(gate.message for gate in missing)) if missing else None


def _gate_failed(case: Case) -> Verdict | None:
    failed = [gate for gate in case.gates if not gate.passed]
    if not failed:
        return None
    kept = f"; {case.build.spec.promotion.alias} stays where it is" if case.build.spec.promotion else ""
    return Verdict(conditions.GATE_FAILED, "; ".join(gate.message for gate in failed) + kept)


def _no_promotion(case: Case) -> Verdict | None:
    return Verdict(conditions.REGISTERED, "registered; no promotion is asked for") if case.build.spec.promotion is None else None


def _already(case: Case) -> Verdict | None:
    alias = case.build.spec.promotion.alias if case.build.spec.promotion else ""
    return Verdict(conditions.PROMOTED, f"promoted to {alias}") if case.promoted else None


def _refused(case: Case) -> Verdict | None:
    promotion, known = case.build.spec.promotion, case.refusal
    if promotion is None or promotion.approval != "Manual" or known is None:
        return None
    if known.expired:
        return Verdict(conditions.APPROVAL_EXPIRED, _expired_words(promotion))
    return Verdict(conditions.PROMOTION_REFUSED, _refused_words(promotion, known.by, known.reason))


def _refused_now(case: Case) -> Verdict | None:
    promotion, wish = case.build.spec.promotion, case.wish
    if promotion is None or promotion.approval != "Manual" or case.number is None:
        return None
    if wish is not None and wish.version == case.number:
        words = _refused_words(promotion, wish.by or "annotation", wish.reason)
        return Verdict(conditions.PROMOTION_REFUSED, words, refuse=True)
    return None


def _expired(case: Case) -> Verdict | None:
    """An approval that is there when this is looked at still counts: nobody knows when it was given."""
    promotion = case.build.spec.promotion
    if promotion is None or not case.expired:
        return None
    return Verdict(conditions.APPROVAL_EXPIRED, _expired_words(promotion), refuse=True)


def _refused_words(promotion: Promotion, by: str, reason: str) -> str:
    return f"promotion to {promotion.alias} was refused by {by}{': ' + reason if reason else ''}"


def _expired_words(promotion: Promotion) -> str:
    seconds = promotion.approval_deadline_seconds
    return f"nobody approved the promotion to {promotion.alias}{f' within {seconds} s' if seconds else ' in time'}"


def _approval_awaited(case: Case) -> Verdict | None:
    promotion = case.build.spec.promotion
    if promotion is None or promotion.approval != "Manual":
        return None
    if case.number is not None and case.approval is not None and case.approval.version == case.number:
        return None
    if (expired := _expired(case)) is not None:
        return expired
    name, namespace = case.build.metadata.name, case.build.metadata.namespace
    return Verdict(
        conditions.AWAITING_APPROVAL,
        f"its gates hold; promotion to {promotion.alias} waits for: slipway approve {name} -n {namespace}",
    )


PROMOTION: tuple[Callable[[Case], Verdict | None], ...] = (
    _no_promotion,
    _already,
    _metric_missing,
    _gate_failed,
    _refused,
    _refused_now,
    _approval_awaited,
)


def decide_promotion(case: Case) -> Verdict:
    for predicate in PROMOTION:
        verdict = predicate(case)
        if verdict is not None:
            return verdict
    alias = case.build.spec.promotion.alias if case.build.spec.promotion else ""
    return Verdict(conditions.PROMOTED, f"promoted to {alias}", promote=True)
