"""How a roll-out looks: a tree of revisions, steps and gates, and in a word how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from slipway.api import conditions
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Revision
from slipway.api.rollout import GateVerdict, RolloutSpec, seconds_of
from slipway.cli.output import age, clean, duration, short, short_image

if TYPE_CHECKING:
    from rich.tree import Tree

SIGNS = {"Pass": ("✔", "green"), "Fail": ("✖", "red"), "NoData": ("…", "yellow")}


class Outcome(Enum):
    """How a roll-out stands."""

    UNDER_WAY = "under way"
    DONE = "done"
    FAILED = "failed"


def outcome(deployment: ModelDeployment, version: int | None) -> Outcome:
    """With `version`, whether that one serves, or was taken back; without, whether anything is under way."""
    status = deployment.status
    if status is None or status.observed_generation != deployment.metadata.generation:
        return Outcome.UNDER_WAY
    if version is not None:
        if status.held is not None and status.held.version == version:
            return Outcome.FAILED
        serves = status.candidate is None and status.stable is not None and status.stable.version == version
        return Outcome.DONE if serves and _is(status, conditions.READY) else Outcome.UNDER_WAY
    if status.candidate is not None:
        return Outcome.UNDER_WAY
    if status.held is not None or _is(status, conditions.STALLED):
        return Outcome.FAILED
    return Outcome.DONE if _is(status, conditions.READY) else Outcome.UNDER_WAY


def _is(status: ModelDeploymentStatus, kind: str) -> bool:
    found = conditions.find(status.conditions, kind)
    return found is not None and found.status == "True"


def as_json(deployment: ModelDeployment) -> dict[str, Any]:
    """The roll-out for programs: spec.rollout and status, without the operator's own counters."""
    status = (deployment.status or ModelDeploymentStatus()).to_dict()
    for role in ("stable", "candidate"):
        status.get(role, {}).pop("marks", None)
    rollout = deployment.spec.rollout
    return {
        "name": deployment.metadata.name,
        "namespace": deployment.metadata.namespace,
        "outcome": outcome(deployment, None).value,
        "rollout": rollout.to_dict() if rollout else None,
        "status": status,
    }


def tree(deployment: ModelDeployment, now: datetime) -> Tree:
    """What is served, what is on its way, and what the gates say."""
    from rich.tree import Tree

    status = deployment.status or ModelDeploymentStatus()
    ready = conditions.find(status.conditions, conditions.READY)
    spec = deployment.spec.rollout
    head = f"{deployment.metadata.namespace}/{deployment.metadata.name}  {spec.strategy if spec else 'at once'}"
    root = Tree(_text(head, "bold"), guide_style="dim")
    if ready is not None:
        colour = {"True": "green", "False": "yellow"}.get(ready.status, "yellow")
        colour = "red" if _is(status, conditions.STALLED) else colour
        root.add(_text(f"{ready.reason}: {ready.message}", colour))
    if status.stable is not None:
        left = 100 if _copies(spec) else 100 - _weight(status.candidate)
        _revision(root, "stable", status.stable, f"{left} %", spec, now)
    if status.candidate is not None:
        branch = _revision(root, "candidate", status.candidate, _share(spec, _weight(status.candidate)), spec, now)
        if spec is not None and spec.steps:
            _steps(branch, status.candidate, spec, now)
    if status.held is not None:
        held = status.held
        root.add(_text(f"held  version {held.version}  {held.reason}: {held.message}  since {age(held.since, now)}", "red"))
    return root


def _copies(spec: RolloutSpec | None) -> bool:
    return spec is not None and spec.strategy == "Shadow"


def _share(spec: RolloutSpec | None, weight: int) -> str:
    return f"copies of {weight} %" if _copies(spec) else f"{weight} %"


def _weight(candidate: Revision | None) -> int:
    return candidate.weight or 0 if candidate is not None else 0


def _text(words: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(clean(words), style=style)


def _revision(root: Tree, role: str, revision: Revision, share: str, spec: RolloutSpec | None, now: datetime) -> Tree:
    pods = f"{revision.ready_replicas or 0} pods"
    since = f"since {age(revision.since, now)}" if revision.since else ""
    image = short_image(revision.image) if revision.image else ""
    words = (role, f"version {revision.version}", share, pods, since, short(revision.digest), image)
    branch = root.add(_text("  ".join(word for word in words if word), "bold" if role == "candidate" else ""))
    for verdict in revision.gates:
        branch.add(_gate(verdict))
    return branch


def _gate(verdict: GateVerdict) -> Any:
    from rich.text import Text

    sign, colour = SIGNS[verdict.verdict]
    return Text.assemble((f"{sign} ", colour), clean(f"gate {verdict.name}  {verdict.message}"))


def _steps(branch: Tree, candidate: Revision, spec: RolloutSpec, now: datetime) -> None:
    approvals = {approval.step: approval for approval in candidate.approvals}
    for index, step in enumerate(spec.steps):
        words = [f"step {index + 1}", _share(spec, step.weight), f"hold {step.hold}"]
        style = "dim"
        if candidate.step is not None and index < candidate.step:
            style = "green"
        elif index == candidate.step:
            style = "bold"
            words.append(_left(candidate, seconds_of(step.hold), now))
        if index in approvals:
            approval = approvals[index]
            words.append(f"approved by {approval.by}" + (f": {approval.reason}" if approval.reason else ""))
        elif step.approval == "Manual":
            words.append("needs an approval")
        branch.add(_text("  ".join(word for word in words if word), style))


def _left(candidate: Revision, hold: int, now: datetime) -> str:
    if candidate.step_since is None:
        return "waits for its pods"
    left = hold - (now - candidate.step_since).total_seconds()
    return f"next in {duration(left)}" if left > 0 else "hold is over"


def line(deployment: ModelDeployment) -> str:
    """The state in one line that changes only when something happens: for logs of CI jobs."""
    return "  ".join(_words(deployment))


def _words(deployment: ModelDeployment) -> Iterator[str]:
    status = deployment.status or ModelDeploymentStatus()
    ready = conditions.find(status.conditions, conditions.READY)
    yield ready.reason if ready else "Pending"
    if status.candidate is not None:
        share = _share(deployment.spec.rollout, _weight(status.candidate))
        yield f"version {status.candidate.version} at {share}"
        yield from (f"{verdict.name}={verdict.verdict}" for verdict in status.candidate.gates)
    if ready is not None and ready.message:
        yield ready.message
