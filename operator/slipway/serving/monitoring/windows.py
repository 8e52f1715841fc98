"""Sketches by time: what came in the last minute, five minutes, hour, and since the start. The clock is given."""

from __future__ import annotations

from collections import deque
from typing import Final

from slipway.serving.monitoring.sketch import Layout, Sketch

FINE_SECONDS: Final = 10.0
COARSE_SECONDS: Final = 300.0
WINDOWS: Final = {"1m": 60.0, "5m": 300.0, "1h": 3600.0}
"""Name to seconds. The shorter two are exact to ten seconds, the hour to five minutes."""


class Windows:
    """Rings of sums, ten-second slots for five minutes and five-minute slots for an hour, and the sum of all."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._rings = [
            (FINE_SECONDS, deque[tuple[int, Sketch]](maxlen=int(WINDOWS["5m"] / FINE_SECONDS) + 1)),
            (COARSE_SECONDS, deque[tuple[int, Sketch]](maxlen=int(WINDOWS["1h"] / COARSE_SECONDS) + 1)),
        ]
        self.total = Sketch.empty(layout)

    def add(self, sketch: Sketch, now: float) -> None:
        """Adds `sketch` to the slots of `now`, seconds of a clock that never goes back."""
        self.total.add(sketch)
        for step, ring in self._rings:
            slot = int(now // step)
            if not ring or ring[-1][0] != slot:
                ring.append((slot, Sketch.empty(self._layout)))
            ring[-1][1].add(sketch)

    def window(self, name: str, now: float) -> Sketch:
        """The sum over the last ``WINDOWS[name]`` seconds."""
        seconds = WINDOWS[name]
        step, ring = self._rings[0 if seconds <= WINDOWS["5m"] else 1]
        oldest = int((now - seconds) // step) + 1
        found = Sketch.empty(self._layout)
        for slot, sketch in ring:
            if slot >= oldest:
                found.add(sketch)
        return found
