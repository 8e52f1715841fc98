"""ModelDeployment: serve a version, go to the next one step by step, hold it when it fails."""

from __future__ import annotations

from slipway.controllers.model_deployment.controller import ModelDeploymentController

CONTROLLER_FACTORY = ModelDeploymentController

__all__ = ["CONTROLLER_FACTORY", "ModelDeploymentController"]
