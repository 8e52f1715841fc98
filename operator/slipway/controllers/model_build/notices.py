"""What a ModelBuild's status records and others are told of: builds, versions, promotions, and what waits for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from slipway.api.common import InvalidResource
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import Version
from slipway.controllers.shared.notices import run_notices
from slipway.kube.port import Object
from slipway.reconcile.notices import Notice

REGISTERED, PROMOTED, REFUSED, APPROVAL_NEEDED = "version-registered", "version-promoted", "version-refused", "approval-needed"


def notices(resource: Object) -> tuple[Notice, ...]:
    """All that is recorded, oldest first."""
    try:
        build = ModelBuild.parse(resource)
    except InvalidResource:
        return ()
    status = build.status
    if status is None:
        return ()
    version = status.version
    result = {"model": build.model, "version": version.number, "digest": version.digest} if version else {}
    made = list(run_notices(status.build, result))
    ended = status.build.finished_at if status.build else None
    if version is not None and ended is not None:
        fresh = status.build is not None and bool(status.build.attempt)
        made += _version(build.model, version, ended, fresh=fresh)
    return tuple(made)


def _version(model: str, version: Version, ended: datetime, *, fresh: bool) -> Iterator[Notice]:
    """`fresh`: it was built just now, and not found."""
    name = f"{model}:{version.number}"
    facts = {"model": model, "version": version.number, "digest": version.digest, "metrics": dict(version.metrics)}
    if fresh:
        yield Notice(REGISTERED, name, ended, f"{name} is registered", facts)
    approval = version.approval
    if version.promoted_to is not None:
        by = {"by": approval.approved_by} if approval is not None and approval.approved_by else {}
        at = approval.at if approval is not None and approval.at is not None else ended
        words = f"{model}@{version.promoted_to} is version {version.number}"
        yield Notice(PROMOTED, f"{name}@{version.promoted_to}", at, words, facts | {"alias": version.promoted_to} | by)
        return
    failed = [gate for gate in version.gates if not gate.passed]
    if failed:
        words = f"{name} is not promoted: {'; '.join(gate.message for gate in failed)}"
        yield Notice(REFUSED, name, ended, words, facts | {"gates": [gate.metric for gate in failed]})
    elif approval is not None and approval.required and approval.approved_by is None:
        yield Notice(
            APPROVAL_NEEDED, name, ended, f"{name} waits for approval: slipway approve {model.rpartition('/')[2]}", facts
        )
