"""AppBuild: package an application in a Job, push it by digest."""

from __future__ import annotations

from slipway.controllers.app_build.controller import AppBuildController

CONTROLLER_FACTORY = AppBuildController

__all__ = ["CONTROLLER_FACTORY", "AppBuildController"]
