"""Whether a definition becomes the one in force: decisions of a FeatureView. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.api import conditions
from slipway.api.feature_view import FeatureView, FeatureViewStatus
from slipway.controllers.feature_view.observed import Observed
from slipway.features.definitions import FeatureView as Definition
from slipway.features.definitions import check_follows, parse
from slipway.features.errors import InvalidDefinition


def applier(view: FeatureView) -> str:
    """How a revision names this resource."""
    return f"FeatureView {view.metadata.namespace}/{view.metadata.name}"


def is_in_force(view: FeatureView, last: int) -> bool:
    """Whether revision `last`, the present one, is what status says was made of this spec. Revisions never change."""
    status = view.status or FeatureViewStatus()
    ready = conditions.find(status.conditions, conditions.READY)
    if ready is None or status.revision is None or status.revision.number != last:
        return False
    applied = ready.reason in (conditions.APPLIED, conditions.TABLE_NOT_FOUND)
    return applied and ready.observed_generation == view.metadata.generation


@dataclass(frozen=True)
class Verdict:
    """What becomes of the definition; with `apply` it is made the present one."""

    reason: str
    message: str = ""
    apply: bool = False


@dataclass(frozen=True)
class Case:
    """What is known when that is decided."""

    observed: Observed
    definition: Definition


def _already(case: Case) -> Verdict | None:
    present = case.observed.present
    same = present is not None and present.definition == case.definition.to_dict()
    return Verdict(conditions.APPLIED) if case.observed.settled or same else None


def _source_missing(case: Case) -> Verdict | None:
    missing = [name for name, revision in case.observed.sources.items() if revision is None]
    if not missing:
        return None
    namespace = case.observed.view.metadata.namespace
    return Verdict(conditions.VIEW_NOT_FOUND, f"source.views: there is no feature view {', '.join(missing)} in {namespace} yet")


def _source_derived(case: Case) -> Verdict | None:
    for name, revision in case.observed.sources.items():
        if revision is not None and revision.definition.get("source") is not None:
            return Verdict(conditions.INVALID_SPEC, f"source.views: {name} is itself made from others: read those")
    return None


def _refused(case: Case) -> Verdict | None:
    present = case.observed.present
    if present is None:
        return None
    try:
        check_follows(case.definition, parse(present.definition, f"revision {present.number}"))
    except InvalidDefinition as error:
        return Verdict(conditions.DEFINITION_REFUSED, f"{error}. Revision {present.number} stays in force")
    return None


DEFINITION: tuple[Callable[[Case], Verdict | None], ...] = (_already, _source_missing, _source_derived, _refused)


def decide(case: Case) -> Verdict:
    for predicate in DEFINITION:
        verdict = predicate(case)
        if verdict is not None:
            return verdict
    return Verdict(conditions.APPLIED, apply=True)
