"""Decides a FeatureView's next step and what has to be written for it. Pure."""

from __future__ import annotations

from slipway.controllers.feature_view.policy import Case, Verdict, applier, decide
from slipway.controllers.feature_view.validate import Valid
from slipway.reconcile.contract import ApplyDefinition, Planned


def plan(valid: Valid) -> Planned[Verdict]:
    """The whole plan. What waits for others is looked at again by the resync."""
    view = valid.observed.view
    verdict = decide(Case(valid.observed, valid.definition))
    if not verdict.apply:
        return Planned(decision=verdict)
    move = ApplyDefinition(view.metadata.namespace, valid.definition, applier(view))
    return Planned(decision=verdict, before=(move,))
