"""Training: what a training script is given (`Run`), and what runs around it in the training Job.

A script needs only ``from slipway.training import Run``. Importing this package is cheap: heavy libraries are imported
when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.training.errors import ConversionFailed, FormatRefused, MetricInvalid, ReportInvalid, TrainingError
    from slipway.training.inputs import Input, Inputs
    from slipway.training.local import run_locally
    from slipway.training.params import Params
    from slipway.training.run import Run, SavedModel

__all__ = [
    "ConversionFailed",
    "FormatRefused",
    "Input",
    "Inputs",
    "MetricInvalid",
    "Params",
    "ReportInvalid",
    "Run",
    "SavedModel",
    "TrainingError",
    "run_locally",
]

_HOMES = {
    "Input": "inputs",
    "Inputs": "inputs",
    "Params": "params",
    "Run": "run",
    "SavedModel": "run",
    "run_locally": "local",
}


def __getattr__(name: str) -> Any:
    """Public names, imported when they are first asked for: the operator needs the contract alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value
