"""What an AppBuild's status records and others are told of. Pure."""

from __future__ import annotations

from slipway.api.app_build import AppBuild
from slipway.api.common import InvalidResource
from slipway.controllers.shared.notices import run_notices
from slipway.kube.port import Object
from slipway.reconcile.notices import Notice


def notices(resource: Object) -> tuple[Notice, ...]:
    """All that is recorded, oldest first."""
    try:
        build = AppBuild.parse(resource)
    except InvalidResource:
        return ()
    return tuple(run_notices(build.status.build, {"image": build.status.image})) if build.status else ()
