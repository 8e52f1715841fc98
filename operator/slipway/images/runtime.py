"""What a base image says of the Python in it: the target that packages are resolved and installed for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slipway.images.assemble import BaseImage
from slipway.images.contract import GLIBC_LABEL, PACKAGES_LABEL
from slipway.images.errors import Incompatible
from slipway.images.interpreter import wheel_platform
from slipway.images.wheels import locked

_VERSION = re.compile(r"3\.\d+(\.\d+)?")


@dataclass(frozen=True)
class Runtime:
    """The Python of a base image. `packages`: ``name==version`` of what it holds, sorted."""

    python_version: str
    platform: str
    """``linux/amd64``."""
    glibc: str
    packages: tuple[str, ...]

    @property
    def wheel_platform(self) -> str:
        """As uv names it."""
        return wheel_platform(self.platform, self.glibc)

    @property
    def minor(self) -> str:
        """As ``3.11``."""
        return ".".join(self.python_version.split(".")[:2])

    def has(self, line: str) -> bool:
        """Whether the base holds exactly what a line of a lock pins."""
        package = locked(line)
        return package is not None and str(package) in self.packages


def runtime_of(base: BaseImage) -> Runtime:
    """Reads it from the image's configuration. Raises Incompatible for an image that says nothing of its Python."""
    settings = base.config.config
    labels = settings.labels or {}
    version = settings.variables.get("PYTHON_VERSION", "")
    if PACKAGES_LABEL not in labels or not _VERSION.fullmatch(version):
        missing = f"label {PACKAGES_LABEL}" if PACKAGES_LABEL not in labels else "variable PYTHON_VERSION"
        raise Incompatible(
            f"base image {base.reference} is no Slipway serving image: it has no {missing}. "
            "Build on the installation's serving image, on an image made by an AppBuild, or on one made FROM these"
        )
    return Runtime(
        python_version=version,
        platform=base.config.platform,
        glibc=labels.get(GLIBC_LABEL, ""),
        packages=tuple(sorted(set(labels[PACKAGES_LABEL].split()))),
    )
