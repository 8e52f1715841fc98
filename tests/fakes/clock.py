"""Time for tests: it stands still until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Callable as a clock in UTC; `monotonic` gives the same time as seconds."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.now.timestamp()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def text(self) -> str:
        """The time as the API server writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
