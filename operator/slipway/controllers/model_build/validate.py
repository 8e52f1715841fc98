"""Refuses what the schema lets pass but no build can be made of. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.api import conditions
from slipway.api.model_build import params_problem
from slipway.api.pods import template_problem
from slipway.controllers.model_build.observed import Observed
from slipway.controllers.model_build.triggers import schedule_problem
from slipway.reconcile.contract import Stalled


@dataclass(frozen=True)
class Valid:
    """An `Observed` that a build can be planned from."""

    observed: Observed


def validate(observed: Observed) -> Valid:
    """Raises Stalled with a message that names the field and the fix."""
    problem = params_problem(observed.build.spec.trainer.params)
    if problem:
        raise Stalled(conditions.INVALID_PARAMS, problem)
    schedule = observed.build.spec.schedule
    if schedule is not None and (wrong := schedule_problem(schedule)):
        raise Stalled(conditions.INVALID_SPEC, wrong)
    problem = template_problem("trainer.podTemplate", observed.build.spec.trainer.pod_template)
    if problem:
        raise Stalled(conditions.INVALID_SPEC, problem)
    if not observed.build.spec.trainer.image and not observed.installation.training_image:
        raise Stalled(
            conditions.INVALID_SPEC,
            "trainer.image: give one; this installation names no training image (chart value image.training)",
        )
    return Valid(observed)
