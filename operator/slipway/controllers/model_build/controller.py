"""ModelBuild: train in a Job, evaluate, register a version, move the alias."""

from __future__ import annotations

from datetime import datetime

from slipway.controllers.model_build.notices import notices
from slipway.controllers.model_build.observe import observe
from slipway.controllers.model_build.observed import Observed
from slipway.controllers.model_build.plan import Decision, plan
from slipway.controllers.model_build.status import status
from slipway.controllers.model_build.validate import Valid, validate
from slipway.controllers.shared.stopped import StoppedStatus
from slipway.kube.port import Object
from slipway.kube.resources import MODEL_BUILD
from slipway.reconcile.contract import Applied, Planned, StatusUpdate
from slipway.reconcile.deps import Deps
from slipway.reconcile.notices import Notice


class ModelBuildController(StoppedStatus):
    """The five steps, in the order in which the driver takes them."""

    resource = MODEL_BUILD
    field_manager = "slipway-model-build"

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def observe(self, resource: Object, now: datetime) -> Observed:
        return await observe(self._deps, resource, now)

    def validate(self, observed: Observed) -> Valid:
        return validate(observed)

    def plan(self, valid: Valid, now: datetime) -> Planned[Decision]:
        return plan(valid, now)

    def status(self, observed: Observed, applied: Applied[Decision], now: datetime) -> StatusUpdate:
        return status(observed, applied, now)

    def notices(self, resource: Object) -> tuple[Notice, ...]:
        return notices(resource)
