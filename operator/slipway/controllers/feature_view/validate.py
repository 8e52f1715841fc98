"""Refuses what the schema lets pass but no feature view can be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.api import conditions
from slipway.controllers.feature_view.observed import Observed
from slipway.features.definitions import FeatureView as Definition
from slipway.features.definitions import parse
from slipway.features.errors import InvalidDefinition
from slipway.reconcile.contract import Stalled


@dataclass(frozen=True)
class Valid:
    """An `Observed` whose spec is a definition."""

    observed: Observed
    definition: Definition


def validate(observed: Observed) -> Valid:
    """Raises Stalled with a message that names the field and the fix."""
    view = observed.view
    spec = view.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    try:
        return Valid(observed, parse({"name": view.metadata.name, **spec}, "spec"))
    except InvalidDefinition as error:
        raise Stalled(conditions.INVALID_SPEC, str(error)) from error
