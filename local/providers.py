"""The providers by name."""

from __future__ import annotations

from collections.abc import Callable

from local import settings
from local.bare.provider import BareProvider
from local.current import CurrentProvider
from local.errors import LocalError
from local.info import Provider
from local.kind import KindProvider
from local.progress import Progress
from local.settings import Settings

_MAKERS: dict[str, Callable[[Settings, Progress], Provider]] = {
    "bare": BareProvider,
    "kind": KindProvider,
    "current": CurrentProvider,
}
NAMES = tuple(_MAKERS)


def provider(name: str, *, progress: Progress | None = None) -> Provider:
    """Raises LocalError for a name that there is not."""
    if name not in _MAKERS:
        raise LocalError(f"there is no provider {name}: {', '.join(NAMES)}")
    return _MAKERS[name](settings.read(), progress or Progress())
