"""Where a model was trained: what is needed to do it again."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

from slipway.registry.records import Environment


def capture(image: str = "") -> Environment:
    """This interpreter, its platform and its installed packages by normalised name (PEP 503)."""
    packages: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            packages.setdefault(name.lower().replace("_", "-").replace(".", "-"), distribution.version)
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        image=image or None,
        packages=dict(sorted(packages.items())),
    )
