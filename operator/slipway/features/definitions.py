"""Feature views as data: what a person writes, what makes it another definition, and what may follow it. Pure.

`ViewSpec` is also ``spec`` of the resource FeatureView, so its fields carry what the API server needs to refuse a wrong one.
"""

from __future__ import annotations

import re
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from slipway.api.common import rules
from slipway.features.errors import InvalidDefinition
from slipway.registry.records import digest_of

KEY_TYPES = ("bool", "int32", "int64", "string", "date")
"""Types of entity keys: those in which two equal values are equal. Floating point is not among them."""
TYPES = ("bool", "int32", "int64", "float32", "float64", "string", "date", "timestamp", "binary")
LIST = re.compile(r"list<(bool|int32|int64|float32|float64|string)>")
"""Besides `TYPES`: lists, as embeddings are."""
_LISTS = tuple(f"list<{name}>" for name in ("bool", "int32", "int64", "float32", "float64", "string"))
RESERVED = "_slipway_"
MAX_FEATURES = 2000
MAX_KEYS = 16

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def check_column(name: str) -> str:
    """A column's name. Raises ValueError, which gives the rule."""
    if not _COLUMN.fullmatch(name):
        raise ValueError(f"{name[:80]!r}: letters, digits and '_', not a digit first, at most 128 characters")
    if name.startswith(RESERVED):
        raise ValueError(f"{name!r}: names that begin with {RESERVED} are Slipway's own")
    return name


def check_name(name: str) -> str:
    """A view's or a snapshot's name: a DNS label. Raises ValueError, which gives the rule."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r}: lower-case letters, digits and '-', a letter or digit at both ends, at most 63 characters"
        )
    return name


def parse_duration(text: str) -> timedelta:
    """``30d``, ``12h``, ``1d12h``, ``90s`` and the like. Raises ValueError, which gives the form."""
    cleaned = text.strip()
    if not cleaned or _DURATION.sub("", cleaned):
        raise ValueError(f"{text[:80]!r} is not a duration: write 30d, 12h, 15m or 90s")
    return timedelta(seconds=sum(float(count) * _UNITS[unit] for count, unit in _DURATION.findall(cleaned)))


def _check_ttl(text: str) -> str:
    if parse_duration(text) <= timedelta():
        raise ValueError(f"{text!r}: no row would ever be young enough; leave ttl out for features that do not expire")
    return text


def _check_type(text: str) -> str:
    if text in TYPES or LIST.fullmatch(text):
        return text
    close = get_close_matches(text, TYPES, n=1)
    hint = f"; perhaps {close[0]}?" if close else ""
    raise ValueError(f"{text[:80]!r} is not a type: {', '.join(TYPES)}, or a list as list<float32>{hint}")


def _check_key_type(text: str) -> str:
    if text not in KEY_TYPES:
        raise ValueError(f"{text[:80]!r} cannot be an entity key's type: {', '.join(KEY_TYPES)}")
    return text


Column = Annotated[str, AfterValidator(check_column)]
MAX_COLUMN = 128
_KEYED: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


def _column_rules(field: str) -> dict[str, Any]:
    return rules(
        ("self.matches('^[A-Za-z_][A-Za-z0-9_]*$')", f"{field}: letters, digits and '_', not a digit first"),
        (f"!self.startsWith('{RESERVED}')", f"{field}: names that begin with {RESERVED} are Slipway's own"),
    )


class _Part(BaseModel):
    """Unknown fields are refused: a misspelt one must not be passed over."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="forbid")


class EntityKey(_Part):
    """A column that says which entity a row is about."""

    name: Column = Field(max_length=MAX_COLUMN, description="Name of the column.", json_schema_extra=_column_rules("name"))
    type: Annotated[str, AfterValidator(_check_key_type)] = Field(
        default="int64",
        description="Type of the column: one in which two equal values are equal. Default: int64.",
        json_schema_extra={"enum": list(KEY_TYPES)},
    )
    description: str = Field(default="", max_length=1000, description="What it is, for people. Default: nothing.")


class Feature(_Part):
    """A column that models are trained on."""

    name: Column = Field(max_length=MAX_COLUMN, description="Name of the column.", json_schema_extra=_column_rules("name"))
    type: Annotated[str, AfterValidator(_check_type)] = Field(
        default="float64",
        description="Type of the column; lists are for embeddings. Default: float64.",
        json_schema_extra={"enum": [*TYPES, *_LISTS]},
    )
    description: str = Field(default="", max_length=1000, description="What it is, for people. Default: nothing.")


class Source(_Part):
    """Where rows come from when they are not ingested: exactly one of the members."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.delta) != has(self.sql)", "source: give exactly one of delta, sql"),
            ("has(self.sql) == has(self.views)", "source: sql and views go together: name the feature views that the SQL reads"),
        )
    )
    delta: str | None = Field(
        default=None,
        max_length=1024,
        description="URI of a Delta table that others write: s3://bucket/folder.",
        json_schema_extra=rules(
            ("self.matches('^s3://[a-z0-9][a-z0-9.-]+[a-z0-9]/[^\\\\s]+$')", "delta: write s3://bucket/folder of the table")
        ),
    )
    sql: str | None = Field(
        default=None,
        max_length=20_000,
        description="A SELECT over the tables of views, by their names (with '-' written as '_').",
    )
    views: tuple[Annotated[str, AfterValidator(check_name), Field(max_length=63)], ...] = Field(
        default=(), max_length=32, description="Feature views of this namespace that the SQL reads."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.delta is None) == (self.sql is None):
            raise ValueError("give exactly one of delta, sql")
        if self.sql is not None and not self.views:
            raise ValueError("views: name the feature views that the SQL reads")
        if self.sql is None and self.views:
            raise ValueError("views: go with sql only")
        return self


class ViewSpec(_Part):
    """A feature view but for its name."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!self.entities.exists(e, e.name == self.eventTime) && !self.features.exists(f, f.name == self.eventTime)",
                "spec: eventTime is the name of an entity key or a feature too; each column is there once",
            ),
            (
                "!has(self.createdTime) || (self.createdTime != self.eventTime"
                " && !self.entities.exists(e, e.name == self.createdTime)"
                " && !self.features.exists(f, f.name == self.createdTime))",
                "spec: createdTime is the name of another column too; each column is there once",
            ),
            (
                "!self.entities.exists(e, self.features.exists(f, f.name == e.name))",
                "spec: a feature has the name of an entity key; each column is there once",
            ),
        )
    )
    description: str = Field(default="", max_length=4000, description="What the view holds, for people. Default: nothing.")
    entities: tuple[EntityKey, ...] = Field(
        min_length=1,
        max_length=MAX_KEYS,
        description="Columns that say which entity a row is about; several make a composite key.",
        json_schema_extra=_KEYED,
    )
    event_time: Column = Field(
        default="event_time",
        max_length=MAX_COLUMN,
        description="Column with the time from which a row's values held. Times have a zone. Default: event_time.",
        json_schema_extra=_column_rules("eventTime"),
    )
    created_time: Column | None = Field(
        default=None,
        description="Column with the time at which a row became known. Default: none, Slipway notes when it was ingested.",
        json_schema_extra={"maxLength": MAX_COLUMN, **_column_rules("createdTime")},
    )
    ttl: Annotated[str, AfterValidator(_check_ttl)] | None = Field(
        default=None,
        description="Age beyond which a row counts as not there, as 30d, 12h or 1d12h. Default: rows do not expire.",
        json_schema_extra={
            "maxLength": 64,
            **rules(
                (
                    "self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h|d|w))+$')",
                    "ttl: not a duration: write 30d, 12h, 15m or 90s",
                ),
                ("self.matches('[1-9]')", "ttl: no row would ever be young enough; leave ttl out for rows that do not expire"),
            ),
        },
    )
    features: tuple[Feature, ...] = Field(
        min_length=1,
        max_length=MAX_FEATURES,
        description="Columns that models are trained on.",
        json_schema_extra=_KEYED,
    )
    source: Source | None = Field(
        default=None, description="Where rows come from. Default: a table of the view's own, into which rows are ingested."
    )
    tags: dict[str, Annotated[str, Field(max_length=256)]] = Field(
        default_factory=dict, max_length=64, description="Words by which people find the view. Default: none."
    )

    @field_validator("ttl", mode="before")
    @classmethod
    def _number_has_no_unit(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise ValueError(f"{value} has no unit: write {value}d, {value}h or {value}s")
        return value

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        seen: set[str] = set()
        for column in self.columns:
            if column.lower() in seen:
                raise ValueError(f"column {column} is there twice (upper and lower case do not count as different)")
            seen.add(column.lower())
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the entity key columns."""
        return tuple(entity.name for entity in self.entities)

    @property
    def times(self) -> tuple[str, ...]:
        """Names of the time columns: event time, and created time where there is one."""
        return (self.event_time,) if self.created_time is None else (self.event_time, self.created_time)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of a row that is ingested."""
        return (*self.keys, *self.times, *self.feature_names)

    @property
    def max_age(self) -> timedelta | None:
        """The TTL."""
        return parse_duration(self.ttl) if self.ttl is not None else None


class FeatureView(ViewSpec):
    """A feature view as a person writes it, in YAML or in Python."""

    name: Annotated[str, AfterValidator(check_name)]

    @property
    def digest(self) -> str:
        """Of everything that determines a value: descriptions and tags are left out."""
        return digest_of(
            {
                "name": self.name,
                "entities": [[entity.name, entity.type] for entity in self.entities],
                "eventTime": self.event_time,
                "createdTime": self.created_time,
                "ttl": self.max_age.total_seconds() if self.max_age else None,
                "features": [[feature.name, feature.type] for feature in self.features],
                "source": self.source.model_dump(mode="json", by_alias=True) if self.source else None,
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """As it is written in YAML."""
        return {"name": self.name, **self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"name"})}


def parse(document: Any, where: str = "feature view") -> FeatureView:
    """The view that `document` (as read from YAML) describes: the plain form, or a manifest of kind FeatureView.
    Raises InvalidDefinition, which names the field."""
    if not isinstance(document, dict):
        raise InvalidDefinition(f"{where}: a mapping belongs here, not {type(document).__name__}")
    if "apiVersion" in document or "kind" in document:
        document = _of_manifest(document, where)
    try:
        return FeatureView.model_validate(document)
    except ValidationError as error:
        raise InvalidDefinition(f"{where}: {_first(error, document)}") from error


def _of_manifest(document: dict[str, Any], where: str) -> dict[str, Any]:
    if document.get("kind") != "FeatureView":
        raise InvalidDefinition(f"{where}: kind: {document.get('kind')!r} where FeatureView belongs")
    metadata, spec = document.get("metadata"), document.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        raise InvalidDefinition(f"{where}: a manifest needs metadata and spec")
    return {"name": metadata.get("name"), **spec}


def _first(error: ValidationError, document: dict[str, Any]) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = [to_camel(name) for name in FeatureView.model_fields]
        close = get_close_matches(str(first["loc"][-1]), known, n=1)
        message = "there is no such field" + (f"; perhaps {close[0]}?" if close else "")
    if first["type"] == "missing":
        message = "is missing"
    others = error.error_count() - 1
    return f"{path + ': ' if path else ''}{message}" + (f" (and {others} more)" if others else "")


def check_follows(new: FeatureView, old: FeatureView) -> None:
    """Raises InvalidDefinition when `new` cannot be the next definition of `old`: rows that are there could not be
    read by it. Features may come and go; what a column means may not change."""

    def refuse(field: str, before: object, after: object) -> None:
        raise InvalidDefinition(
            f"{new.name}: {field}: {after} was {before} before, and the rows that are there are of that kind: "
            "give the view, or the feature, another name"
        )

    if _keys(new) != _keys(old):
        refuse("entities", _keys(old), _keys(new))
    if new.times != old.times:
        refuse("eventTime and createdTime", old.times, new.times)
    if (new.source is None) != (old.source is None):
        refuse("source", old.source, new.source)
    before = {feature.name: feature.type for feature in old.features}
    for feature in new.features:
        if before.get(feature.name, feature.type) != feature.type:
            refuse(f"features.{feature.name}.type", before[feature.name], feature.type)


def _keys(view: FeatureView) -> list[str]:
    return [f"{entity.name} ({entity.type})" for entity in view.entities]
