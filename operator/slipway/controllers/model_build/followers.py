"""Who follows the alias that a ModelBuild moves. A build that said Ready before they have begun would make a chain look done
that is about to change: Argo CD would tell of Healthy between two times of Progressing, a CI job would go on too early."""

from __future__ import annotations

from datetime import datetime, timedelta

from slipway.api import conditions
from slipway.api.common import InvalidResource
from slipway.api.model_build import ModelBuild
from slipway.api.model_deployment import ModelDeployment
from slipway.controllers.model_build.observed import Observed
from slipway.kube.port import Object
from slipway.kube.resources import MODEL_DEPLOYMENT
from slipway.reconcile.deps import Deps

PATIENCE = timedelta(seconds=30)
"""One that cannot begin, for whatever reason, says so itself; the build does not wait for it any longer."""


async def behind(deps: Deps, observed: Observed, now: datetime) -> tuple[str, ...]:
    """Names of those that have not begun with the version. Nothing is read when nobody would wait for them any more."""
    build = observed.build
    if build.spec.promotion is None or is_over(observed, now):
        return ()
    version = observed.version.version if observed.version else None
    if version is None and observed.settled and build.status and build.status.version:
        version = build.status.version.number
    listed = await deps.kube.list(MODEL_DEPLOYMENT, build.metadata.namespace)
    return tuple(name for obj in listed if (name := _behind(obj, build, version)) is not None)


def is_over(observed: Observed, now: datetime) -> bool:
    """Whether the build is not at its end yet, has said that it is done, or ended so long ago that nobody is waited for."""
    trained = observed.attempt is not None and observed.attempt.result is not None
    if observed.version is None and not trained and not observed.settled:
        return True
    status = observed.build.status
    if not observed.settled or status is None or status.build is None:
        return False
    ready = conditions.find(status.conditions, conditions.READY)
    if ready is None or ready.reason != conditions.PROMOTING:
        return True
    approval = status.version.approval if status.version else None
    ends = [at for at in (status.build.finished_at, approval.at if approval else None) if at is not None]
    return not ends or now - max(ends) > PATIENCE


def _behind(obj: Object, build: ModelBuild, version: int | None) -> str | None:
    try:
        deployment = ModelDeployment.parse(obj)
    except InvalidResource:
        return None
    promotion, status = build.spec.promotion, deployment.status
    namespace, _, name = build.model.rpartition("/")
    if promotion is None or deployment.model_name() != (namespace, name) or deployment.spec.model.alias != promotion.alias:
        return None
    known = (status.stable, status.candidate, status.held) if status else ()
    begun = version is not None and any(one is not None and one.version == version for one in known)
    return None if begun else deployment.metadata.name
