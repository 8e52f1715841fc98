"""How long runs of a model take, learnt from the runs themselves. Pure."""

from __future__ import annotations


class Costs:
    """Moving averages by powers of two of rows."""

    __slots__ = ("_seconds", "last")

    def __init__(self) -> None:
        self._seconds: list[float | None] = [None] * 40
        self.last = 0.0

    def expected(self, rows: int) -> float:
        """Seconds that a run over `rows` will take: of its size, else of the nearest smaller one in proportion; 0 when
        nothing is known."""
        size = rows.bit_length()
        for smaller in range(size, -1, -1):
            seconds = self._seconds[smaller]
            if seconds is not None:
                return seconds * (1 << (size - smaller))
        return 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """A run over `rows` took `seconds`."""
        self.last = seconds
        size = rows.bit_length()
        known = self._seconds[size]
        # a run that the system interrupted says little of the next one
        self._seconds[size] = seconds if known is None else known + 0.2 * (min(seconds, 4 * known + 1e-5) - known)
