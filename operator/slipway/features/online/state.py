"""What an online store holds of a view: one document, written last, so that it never says more than is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from slipway.registry.names import ModelName
from slipway.registry.records import SCHEMA_VERSION, Digest, Document


@dataclass(frozen=True)
class Target:
    """Rows of one view by one definition. Models that were trained on different definitions are served side by side."""

    view: ModelName
    definition: str
    """`FeatureView.digest`."""

    @property
    def short(self) -> str:
        """Of the definition, as keys have it."""
        return self.definition.removeprefix("sha256:")[:16]

    def __str__(self) -> str:
        return f"{self.view} ({self.definition[:19]}…)"


class Segment(Document):
    """A file of rows of the embedded store. The first is the base, the others are applied to it in their order."""

    key: str
    digest: Digest
    size: int = Field(ge=0)
    rows: int = Field(ge=0)


class OnlineState(Document):
    """How far a view was materialised."""

    schema_version: int = SCHEMA_VERSION
    view: str
    revision: int = Field(ge=1)
    definition: Digest
    number: int = Field(default=0, ge=0)
    """Counts materialisations. Two at once are told apart by it."""
    to: datetime
    """Rows that were effective and known by then are there."""
    table_version: int | None = None
    """Of the view's table, up to which it was read; None: it had none, or the view is SQL over `tables`."""
    tables: dict[str, int] = Field(default_factory=dict)
    pending: datetime | None = None
    """When the first row that was read, but lay in the future, becomes effective and known."""
    segments: tuple[Segment, ...] = ()
    generation: str = ""
    """Of the keys in Redis."""
    at: datetime
    writer: str
