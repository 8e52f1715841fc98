"""ModelDeployment: serve a version, go to the next one step by step, hold it when it fails."""

from __future__ import annotations

from datetime import datetime

from slipway.controllers.model_deployment.notices import notices
from slipway.controllers.model_deployment.observe import observe
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.past import records_of
from slipway.controllers.model_deployment.plan import Decision, plan
from slipway.controllers.model_deployment.status import status
from slipway.controllers.model_deployment.validate import Valid, validate
from slipway.controllers.shared.stopped import StoppedStatus
from slipway.kube.port import Object
from slipway.kube.resources import MODEL_DEPLOYMENT
from slipway.reconcile.contract import Applied, DropPin, Move, Planned, StatusUpdate
from slipway.reconcile.deps import Deps
from slipway.reconcile.notices import Notice
from slipway.registry.records import RolloutRecord


class ModelDeploymentController(StoppedStatus):
    """The five steps, in the order in which the driver takes them."""

    resource = MODEL_DEPLOYMENT
    field_manager = "slipway-model-deployment"

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

    def gone(self, namespace: str, name: str) -> tuple[Move, ...]:
        return (DropPin("ModelDeployment", namespace, name),)

    def notices(self, resource: Object) -> tuple[Notice, ...]:
        return notices(resource)

    def records(self, resource: Object) -> tuple[RolloutRecord, ...]:
        return records_of(resource)
