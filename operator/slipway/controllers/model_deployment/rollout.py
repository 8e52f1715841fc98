"""Which revision serves, which one starts, and which are no longer needed: a pure function over recorded facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from slipway.controllers.model_deployment.policy import gave_up, is_ready
from slipway.kube.port import Object

RETIRE_AFTER = timedelta(seconds=5)
"""How long the revision that served before stays after the switch: every proxy knows the new one by then."""


@dataclass(frozen=True)
class Facts:
    wanted: str | None
    """Revision that spec asks for; None when something it refers to is missing."""
    stable: str | None
    """Revision that took over last, by status; it may be one whose Deployment is gone."""
    stable_since: datetime | None
    serving: str | None
    """Revision that the Service selects."""
    held: str | None
    """Revision that was given up."""
    deployments: Mapping[str, Object]


@dataclass(frozen=True)
class Rollout:
    """What shall be: `serve` is what the Service selects, `run` the Deployments to keep or make, `retire` those to delete."""

    serve: str | None
    run: tuple[str, ...]
    retire: tuple[str, ...]
    stable: str | None
    candidate: str | None
    promoted: bool = False
    """The candidate takes over in this very step."""
    gave_up: str | None = None
    """The candidate that is given up in this very step."""
    look_again: float | None = None
    """Seconds until a retired revision is due."""


def next_rollout(facts: Facts, now: datetime) -> Rollout:
    """One step. The stable revision goes on serving until the wanted one is ready on all its replicas."""
    stable = _stable(facts)
    wanted = facts.wanted if facts.wanted is not None else stable
    if wanted is None:
        return _keep(facts, stable=None, candidate=None, now=now)
    if wanted == stable:
        return _keep(facts, stable=stable, candidate=None, now=now)
    if wanted == facts.held and stable is not None:
        return _keep(facts, stable=stable, candidate=None, now=now)
    child = facts.deployments.get(wanted)
    if child is not None and is_ready(child):
        return _keep(facts, stable=wanted, candidate=None, now=now, since=now, promoted=True)
    if child is not None and stable is not None and gave_up(child):
        return _keep(facts, stable=stable, candidate=None, now=now, gave_up=wanted)
    return _keep(facts, stable=stable, candidate=wanted, now=now)


def _stable(facts: Facts) -> str | None:
    """By status; when that was lost, what the Service selects, as long as it is ready."""
    if facts.stable is not None:
        return facts.stable
    child = facts.deployments.get(facts.serving or "")
    return facts.serving if child is not None and is_ready(child) else None


def _keep(
    facts: Facts,
    *,
    stable: str | None,
    candidate: str | None,
    now: datetime,
    since: datetime | None = None,
    promoted: bool = False,
    gave_up: str | None = None,
) -> Rollout:
    run = tuple(dict.fromkeys(name for name in (stable, candidate) if name is not None))
    spare = tuple(name for name in sorted(facts.deployments) if name not in run)
    due = (since or facts.stable_since or now - RETIRE_AFTER) + RETIRE_AFTER
    wait = (due - now).total_seconds()
    # One that has just stopped serving is kept for a moment; one that never served goes at once.
    warm = tuple(name for name in spare if wait > 0 and name != gave_up and is_ready(facts.deployments[name]))
    retire = tuple(name for name in spare if name not in warm)
    return Rollout(
        serve=stable if stable is not None else candidate,
        run=run,
        retire=retire,
        stable=stable,
        candidate=candidate,
        promoted=promoted,
        gave_up=gave_up,
        look_again=wait if warm else None,
    )
