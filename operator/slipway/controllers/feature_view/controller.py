"""FeatureView: a definition for the feature store, and what rows there are.

Nothing is done when one is deleted: definitions and data stay, and builds that use them go on."""

from __future__ import annotations

from datetime import datetime

from slipway.controllers.feature_view.observe import observe
from slipway.controllers.feature_view.observed import Observed
from slipway.controllers.feature_view.plan import plan
from slipway.controllers.feature_view.policy import Verdict
from slipway.controllers.feature_view.status import status
from slipway.controllers.feature_view.validate import Valid, validate
from slipway.controllers.shared.stopped import StoppedStatus
from slipway.kube.port import Object
from slipway.kube.resources import FEATURE_VIEW
from slipway.reconcile.contract import Applied, Planned, StatusUpdate
from slipway.reconcile.deps import Deps


class FeatureViewController(StoppedStatus):
    """The five steps, in the order in which the driver takes them."""

    resource = FEATURE_VIEW
    field_manager = "slipway-feature-view"

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def observe(self, resource: Object, now: datetime) -> Observed:
        return await observe(self._deps, resource)

    def validate(self, observed: Observed) -> Valid:
        return validate(observed)

    def plan(self, valid: Valid, now: datetime) -> Planned[Verdict]:
        return plan(valid)

    def status(self, observed: Observed, applied: Applied[Verdict], now: datetime) -> StatusUpdate:
        return status(observed, applied, now)
