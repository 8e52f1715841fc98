"""ModelDeployment: serve a version, roll over to the next when it is ready, hold it when it never gets ready."""

from __future__ import annotations

from slipway.controllers.model_deployment.controller import ModelDeploymentController

CONTROLLER_FACTORY = ModelDeploymentController

__all__ = ["CONTROLLER_FACTORY", "ModelDeploymentController"]
