"""The operator: ``python -m slipway``. Configured by environment variables, see `slipway.settings`."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any, Final

from pydantic import ValidationError

from slipway.kube.config import NoClusterError
from slipway.reconcile.deps import ControllerFactory
from slipway.settings import Settings
from slipway.telemetry import logs

_UNUSED: Final = ("urllib3.contrib.pyopenssl", "httpx._main")
"""Modules that libraries import when they can, and do without: botocore would take TLS from pyOpenSSL (which is there for the signing of
models) instead of Python's own, and httpx brings its command line. They are a sixth of the operator's memory, 14 MB."""


def main() -> int:
    """Gives the process's exit code: 0 after a signal, 1 after a failure, 2 for settings that cannot be used."""
    try:
        settings = Settings.load()
        logs.setup(settings.log_format, settings.log_level)
    except (ValidationError, ValueError) as error:
        sys.stderr.write(f"settings cannot be used: {error}\n")
        return 2
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(_UNUSED))  # what is None there cannot be imported
    # after the logs are set up, so that what these import can log
    from slipway.controllers import app_build, feature_view, model_build, model_deployment
    from slipway.reconcile.process import run

    factories: dict[str, ControllerFactory] = {
        "ModelBuild": model_build.CONTROLLER_FACTORY,
        "AppBuild": app_build.CONTROLLER_FACTORY,
        "ModelDeployment": model_deployment.CONTROLLER_FACTORY,
        "FeatureView": feature_view.CONTROLLER_FACTORY,
    }
    try:
        return asyncio.run(run(settings, factories))
    except (NoClusterError, OSError) as error:
        logging.getLogger("slipway").critical("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
