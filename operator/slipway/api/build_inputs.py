"""What a ModelBuild reads: data in the object store, features of views, frozen training sets."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from slipway.api.common import DNS_LABEL, LABEL_WORDS, Model, S3Location, rules

FEATURES = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(:[A-Za-z_][A-Za-z0-9_]*)?$"
AS_OF = "^(Latest|EntityTime|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2}))$"


class FeatureViewInput(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.name) != has(self.names)", "featureView: give exactly one of name, names"),
            (
                "has(self.entities) || (has(self.name) && (!has(self.asOf) || self.asOf != 'EntityTime'))",
                "featureView: names and asOf: EntityTime need entities: rows with keys and a time, to join features to",
            ),
        )
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="A feature view of this namespace, or one feature of it as view:feature.",
        json_schema_extra=rules((f"self.matches('{FEATURES}')", "name: a view, as visits, or a feature, as visits:pages")),
    )
    names: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        default=(),
        max_length=64,
        description="Several views, or features as view:feature, joined to the same entity rows.",
        json_schema_extra=rules(
            (f"self.all(each, each.matches('{FEATURES}'))", "names: views, as visits, or features, as visits:pages")
        ),
    )
    entities: S3Location | None = Field(
        default=None,
        description="Entity rows (Parquet or CSV) with the views' keys, a time, and labels. Each gets the features that held at"
        " its time. Default: none; the input is then the row of each entity that held at asOf.",
    )
    time: str = Field(default="event_time", min_length=1, max_length=128, description="The entity rows' time column.")
    as_of: str = Field(
        default="Latest",
        max_length=40,
        description="What was known: a time (RFC 3339), EntityTime (at each row's own time), or Latest (all that the table holds"
        " when the build starts; new rows are a changed input).",
        json_schema_extra=rules((f"self.matches('{AS_OF}')", "asOf: a time as 2026-11-01T00:00:00Z, Latest, or EntityTime")),
    )
    full_names: bool = Field(default=False, description="Call columns <view>__<feature>, with '-' in a view's name as '_'.")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The views and features that are asked for."""
        return self.names or ((self.name,) if self.name else ())


class FeatureSnapshotInput(Model):
    name: str = Field(
        min_length=1,
        max_length=63,
        description="A training set that `slipway features snapshot` froze in this namespace.",
        json_schema_extra=rules((f"self.matches('{DNS_LABEL}')", f"name: {LABEL_WORDS}")),
    )
    number: int | None = Field(
        default=None,
        ge=1,
        le=999_999_999,
        description="Its number. Default: the newest when the build starts; a newer one is a changed input.",
    )


class Input(Model):
    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.s3), has(self.featureView), has(self.featureSnapshot)].exists_one(given, given)",
                "input: give exactly one of s3, featureView, featureSnapshot",
            )
        )
    )
    name: str = Field(
        min_length=1,
        max_length=63,
        description="Name of the input: its folder below /slipway/inputs, and its key in Run.inputs. Unique in the list.",
        json_schema_extra=rules(
            (
                "self.matches('^[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?$')",
                "name: letters, digits, '-' and '_', a letter or digit at both ends",
            )
        ),
    )
    s3: S3Location | None = Field(default=None, description="Data in the object store.")
    feature_view: FeatureViewInput | None = Field(
        default=None, description="Features, joined in the training pod, as data.parquet. Needs slipway[features] in its image."
    )
    feature_snapshot: FeatureSnapshotInput | None = Field(default=None, description="A frozen training set, as data.parquet.")
