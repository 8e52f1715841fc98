"""A headless Chromium for the tests of the pages: the machine's own, or Debian's package."""

from __future__ import annotations

from pathlib import Path

from local import debian
from local.errors import PreflightError
from local.shell import find

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-dejavu-core")


def find_chromium() -> Path | None:
    """A Chromium that is installed here."""
    return next((path for name in NAMES if (path := find(name))), None)


def need_chromium() -> Path:
    """A Chromium; as root on Debian or Ubuntu it is installed if there is none. Raises PreflightError."""
    found = find_chromium()
    if found is None and debian.can_install():
        debian.install(PACKAGES)
        found = find_chromium()
    if found is None:
        raise PreflightError([f"missing: {NAMES[0]}. Install it (Debian: apt-get install {' '.join(PACKAGES)})"])
    return found
