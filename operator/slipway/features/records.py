"""The documents of the feature store, as they are kept in the bucket.

::

    features/<namespace>/<view>/definitions/<%012d>.json   one object per revision; the highest is the present
    features/<namespace>/<view>/table/                     the view's Delta table
    features/<namespace>/<view>/ingestions/<%012d>.json    what each ingestion wrote, the newest first (`ingested.key`)
    features/<namespace>/<name>/snapshots/<%012d>.json     frozen training sets, numbered; their Parquet lies in blobs/
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from slipway.registry.records import SCHEMA_VERSION, Digest, Document, FileEntry, digest_of


class Revision(Document):
    """One definition of a view."""

    schema_version: int = SCHEMA_VERSION
    namespace: str
    view: str
    number: int = Field(ge=1)
    digest: Digest
    """Of what determines values (`FeatureView.digest`)."""
    definition: dict[str, Any]
    by: str
    at: datetime
    writer: str
    changed: bool = Field(default=True, exclude=True)
    """False in the answer to an apply that had nothing to do; not stored."""


class ViewPin(Document):
    """What a snapshot took from a view."""

    view: str
    revision: int = Field(ge=1)
    definition: Digest
    table_version: int | None = None
    """Delta version of its table; None for a view over SQL: its tables are pinned in `tables`."""
    tables: dict[str, int] = Field(default_factory=dict)
    features: tuple[str, ...] = ()


class ColumnStatistics(Document):
    """One column of a snapshot or a view. `quantiles` at 0, 5, 25, 50, 75, 95 and 100 %; `histogram` has `edges` (n + 1)
    and `counts` (n) for numbers, `top` the most frequent values otherwise."""

    name: str
    type: str
    rows: int = Field(ge=0)
    nulls: int = Field(ge=0)
    distinct: int | None = None
    """About: by a sketch."""
    min: float | str | None = None
    max: float | str | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()


class Ingestion(Document):
    """What one batch added to a view's table. Exact, but for `statistics`, which are those of a sample."""

    schema_version: int = SCHEMA_VERSION
    namespace: str
    view: str
    revision: int = Field(ge=1)
    definition: Digest
    table_version: int = Field(ge=0)
    """The version of the table that has the rows."""
    at: datetime
    rows: int = Field(ge=0)
    nulls: dict[str, int] = Field(default_factory=dict)
    """By feature: rows of the batch without a value."""
    first_event: datetime | None = None
    last_event: datetime | None = None
    """Earliest and latest event time of the batch."""
    table_rows: int | None = Field(default=None, ge=0)
    """Rows of the table with this batch; None: not known."""
    table_nulls: dict[str, int] = Field(default_factory=dict)
    """By feature: rows of the table without a value, as far as its log tells (the first 32 columns)."""
    newest_event: datetime | None = None
    """Latest event time of the table; None: not known."""
    sampled: int = Field(default=0, ge=0)
    """Rows of the sample."""
    statistics: tuple[ColumnStatistics, ...] = ()
    """Of the sample; at most 200 columns."""


class SnapshotDraft(Document):
    """A frozen training set, before it has a number."""

    namespace: str
    name: str
    as_of: str
    """RFC 3339, or EntityTime."""
    files: tuple[FileEntry, ...]
    rows: int = Field(ge=0)
    columns: dict[str, str]
    """Type by column, in order."""
    label_columns: tuple[str, ...] = ()
    """Columns that came with the entity rows and are neither keys nor time."""
    views: tuple[ViewPin, ...]
    statistics: tuple[ColumnStatistics, ...] = ()

    @property
    def identity(self) -> str:
        """Digest of what is in it, whenever and by whom it was made."""
        return digest_of(
            {
                "files": sorted(entry.digest for entry in self.files),
                "columns": self.columns,
                "views": [[pin.view, pin.definition] for pin in self.views],
            }
        )


class Snapshot(SnapshotDraft):
    """A frozen training set as stored."""

    schema_version: int = SCHEMA_VERSION
    number: int = Field(ge=1)
    digest: Digest
    by: str
    created_at: datetime
    writer: str
    changed: bool = Field(default=True, exclude=True)
    """False when the newest snapshot of that name has the same content already; not stored."""
