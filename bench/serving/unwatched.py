"""The model server with nothing counted and nothing watched, to know what that costs. Not for use: it has no such option."""

from __future__ import annotations

import sys
from typing import Any

from slipway.serving import metrics, prepare
from slipway.serving.arguments import parse
from slipway.serving.monitoring.watch import Watch
from slipway.serving.run import main


class Unwatched(Watch):
    """Looks away."""

    def observe(self, *_: Any) -> None:
        """Nothing."""

    def observe_rows(self, *_: Any) -> None:
        """Nothing."""


def _nothing(*_: Any) -> None:
    """Counts nothing."""


if __name__ == "__main__":
    for owner, names in ((metrics.Metrics, ("answered", "answered_all")), (metrics.Histogram, ("observe", "observe_since"))):
        for name in names:
            getattr(owner, name)  # as it is called today
            setattr(owner, name, _nothing)
    setattr(prepare, "Watch", Unwatched)  # noqa: B010
    main(parse(sys.argv[1:], {}))
