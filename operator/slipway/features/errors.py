"""What can go wrong with the feature store, beyond the errors of the store itself (`slipway.storage.port`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.registry.errors import NotInRegistry, RegistryError

MAX_SHOWN = 5


class FeatureError(RegistryError):
    """Base of all errors of the feature store."""


class InvalidDefinition(FeatureError, ValueError):
    """A feature view that is not well formed, or that cannot follow the one before it. Names the field and the fix."""


class InvalidRequest(FeatureError, ValueError):
    """A training set or a read that cannot be made as it was asked for. Names the argument and the fix."""


class BadEntity(InvalidRequest):
    """An entity whose keys are not those of the view. `at` is its place among those asked for."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(f"entity {at}: {reason}")
        self.at = at
        self.reason = reason


class UnknownView(NotInRegistry, FeatureError):
    """No feature view of that name."""


class UnknownSnapshot(NotInRegistry, FeatureError):
    """No snapshot of that name or number."""


class DefinitionChanged(FeatureError):
    """Features were asked for by another definition than the one that is there."""


@dataclass(frozen=True)
class BadRow:
    """One row of a batch that cannot be taken. `row` counts from 0, as a data frame's position does."""

    row: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"row {self.row}: {self.column}: {self.reason}"


class BatchRefused(FeatureError, ValueError):
    """A batch that was not written, not even in part. `rows` holds up to `slipway.features.batches.MAX_BAD` of `count`
    findings; `rows` is empty when the batch as a whole does not fit, and then the message says why."""

    def __init__(self, message: str, rows: Sequence[BadRow] = (), count: int = 0) -> None:
        self.rows = tuple(rows)
        self.count = count or len(self.rows)
        shown = "; ".join(str(row) for row in self.rows[:MAX_SHOWN])
        more = f"; and {self.count - MAX_SHOWN} more" if self.count > MAX_SHOWN else ""
        super().__init__(f"{message}{': ' if shown else ''}{shown}{more}")
