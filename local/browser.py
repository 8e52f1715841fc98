"""A headless Chromium for the tests of the pages: the machine's own, or Debian's package."""

from __future__ import annotations

import os
from pathlib import Path

from local.errors import CommandError, PreflightError
from local.settings import daemon_environment
from local.shell import find, run

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")


def find_chromium() -> Path | None:
    """A Chromium that is installed here."""
    return next((path for name in NAMES if (path := find(name))), None)


def need_chromium() -> Path:
    """A Chromium; as root on Debian or Ubuntu it is installed if there is none. Raises PreflightError."""
    found = find_chromium()
    if found is None and os.geteuid() == 0 and find("apt-get"):
        _install()
        found = find_chromium()
    if found is None:
        raise PreflightError([f"missing: {NAMES[0]}. Install it (Debian: apt-get install {' '.join(PACKAGES)})"])
    return found


def _install() -> None:
    environment = daemon_environment(DEBIAN_FRONTEND="noninteractive")
    command = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    try:
        try:
            run(command, env=environment)
        except CommandError:
            run(["apt-get", "update"], env=environment)  # the lists were old, or empty as in most images
            run(command, env=environment)
    except CommandError as error:
        raise PreflightError([f"installing {' '.join(PACKAGES)} failed: {error}"]) from error
