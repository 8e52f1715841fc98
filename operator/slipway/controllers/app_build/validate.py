"""Refuses what the schema lets pass but no image can be made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.api import conditions
from slipway.controllers.app_build.observed import Observed
from slipway.reconcile.contract import Stalled


@dataclass(frozen=True)
class Valid:
    """An `Observed` that a build can be planned from."""

    observed: Observed


def validate(observed: Observed) -> Valid:
    """Raises Stalled with a message that names the field and the fix."""
    if not observed.installation.builder_image:
        raise Stalled(conditions.INVALID_SPEC, "this installation names no image for app builds (chart value image.training)")
    return Valid(observed)
