"""The providers by name."""

from __future__ import annotations

from local import settings
from local.bare.provider import BareProvider
from local.errors import LocalError
from local.info import Provider
from local.progress import Progress

NAMES = ("bare",)


def provider(name: str, *, progress: Progress | None = None) -> Provider:
    """Raises LocalError for a name that there is not."""
    if name != "bare":
        raise LocalError(f"there is no provider {name}: {', '.join(NAMES)}")
    return BareProvider(settings.read(), progress or Progress())
