"""Refuses what no revision can be made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.api import conditions
from slipway.api.pods import template_problem
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.policy import revision_name
from slipway.reconcile.contract import Stalled

OURS = ("slipway.dev/", "app.kubernetes.io/")


@dataclass(frozen=True)
class Valid:
    """An `Observed` with the name of the revision that spec asks for; None when something it refers to is missing."""

    observed: Observed
    wanted: str | None


def validate(observed: Observed) -> Valid:
    """Raises Stalled with a message that names the field and the fix."""
    spec = observed.deployment.spec
    problem = template_problem("podTemplate", spec.pod_template)
    if problem:
        raise Stalled(conditions.INVALID_SPEC, problem)
    labels = (spec.pod_template.get("metadata") or {}).get("labels") or {}
    taken = sorted(name for name in labels if name.startswith(OURS))
    if taken:
        raise Stalled(
            conditions.INVALID_SPEC, f"podTemplate.metadata.labels.{taken[0]}: labels of {' and '.join(OURS)} are Slipway's own"
        )
    if observed.unreachable is not None:
        return Valid(observed, _last_wanted(observed))
    if observed.missing is not None or observed.version is None or observed.image is None:
        return Valid(observed, None)
    return Valid(observed, revision_name(observed.version.digest, observed.image, spec))


def _last_wanted(observed: Observed) -> str | None:
    """What spec asked for when the store last said so."""
    status = observed.deployment.status
    known = (status.candidate, status.held, status.stable) if status else ()
    return next((entry.revision for entry in known if entry is not None), None)
