"""ModelBuild: train in a Job, evaluate, register a version, move the alias."""

from __future__ import annotations

from slipway.controllers.model_build.controller import ModelBuildController

CONTROLLER_FACTORY = ModelBuildController

__all__ = ["CONTROLLER_FACTORY", "ModelBuildController"]
