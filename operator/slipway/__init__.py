"""Slipway: from machine-learning code to a served, watched model."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """``__version__``: of this distribution; ``unknown`` when its sources run without being installed."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import metadata

    try:
        return metadata.version("slipway")
    except metadata.PackageNotFoundError:
        return "unknown"
