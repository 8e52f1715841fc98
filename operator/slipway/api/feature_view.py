"""FeatureView: a definition of the feature store, carried by GitOps. Its spec is that of `slipway.features.definitions`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from slipway.api.common import Digest, Message, Model, Resource, Time
from slipway.api.conditions import Condition
from slipway.features.definitions import ViewSpec

MAX_COLUMNS = 20


class ViewRevision(Model):
    """The definition that is in force."""

    number: int = Field(ge=1, description="Number of the revision in the feature store.")
    digest: Digest = Field(description="Digest of everything in it that determines a value; descriptions and tags do not.")
    applied_at: Time | None = Field(default=None, description="When it was made.")


class TableStatus(Model):
    """What there is of the view's table. Absent while there is no table, and for a view over SQL."""

    version: int = Field(ge=0, description="Version of the Delta table.")
    rows: int | None = Field(default=None, ge=0, description="Rows in it; absent when that cannot be told, see message.")
    message: Message | None = Field(default=None, description="Why rows or times are not known.")


class Freshness(Model):
    last_event_time: Time | None = Field(default=None, description="The newest event time in the table.")
    last_ingested: Time | None = Field(default=None, description="When rows were last written.")


class ColumnQuality(Model):
    name: str = Field(max_length=128, description="Name of the feature.")
    nulls: str = Field(max_length=16, description="Share of rows without a value, as 0.0312.")


class Quality(Model):
    """As recorded by the last ingestion."""

    table_version: int = Field(ge=0, description="Version of the table that this is about.")
    batch_rows: int = Field(ge=0, description="Rows of the last batch.")
    complete: str = Field(max_length=16, description="Share of the features' values that are there, as 0.9987.")
    columns: tuple[ColumnQuality, ...] = Field(
        default=(), max_length=MAX_COLUMNS, description="Features with values missing, those that lack most first; at most 20."
    )


class FeatureViewStatus(Model):
    observed_generation: int | None = Field(default=None, ge=0, description="metadata.generation that this status is about.")
    conditions: tuple[Condition, ...] = Field(
        default=(),
        max_length=16,
        description="Ready, Reconciling, Stalled; their reasons are listed in docs/spec/v1alpha1/feature-view.md.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    revision: ViewRevision | None = Field(default=None, description="The definition that is in force.")
    table: TableStatus | None = Field(default=None, description="What there is of the view's table.")
    freshness: Freshness | None = Field(default=None, description="How new its rows are.")
    quality: Quality | None = Field(default=None, description="How complete its rows are, as recorded at ingestion.")


class FeatureView(Resource):
    """Defines a feature view: applied to the feature store as a revision. Deleting it keeps definitions and data."""

    KIND: ClassVar[str] = "FeatureView"
    spec: ViewSpec = Field(description="The definition.")
    status: FeatureViewStatus | None = Field(
        default=None, description="What became of it, and what rows there are; written by the operator."
    )
