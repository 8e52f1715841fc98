"""Feast's feature views as ours: what of a definition can be kept, and where its rows are. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.features.definitions import EntityKey, Feature, FeatureView, Source
from slipway.importers.errors import ImportFailed

KNOWN = "known"
"""Column that `convert` adds when rows count as known from their event time on."""
_TYPES = {
    1: "binary", 2: "string", 3: "int32", 4: "int64", 5: "float64", 6: "float32", 7: "bool", 8: "timestamp",
    12: "list<string>", 13: "list<int32>", 14: "list<int64>", 15: "list<float64>", 16: "list<float32>", 17: "list<bool>",
    32: "string", 36: "string",
}  # fmt: skip
"""Our type by Feast's ValueType; JSON and UUID are texts."""
_KEYS = {"string", "int32", "int64", "bool"}
_FILE, _PUSH = 1, 9
_STORES = {2: "BigQuery", 5: "Redshift", 6: "a source of its own kind", 8: "Snowflake", 10: "Trino", 11: "Spark", 12: "Athena"}


@dataclass(frozen=True)
class Conversion:
    """One view. `columns`: the column of Feast's files by ours. `lost`: what could not be kept, in words."""

    theirs: str
    view: FeatureView
    files: str | None
    """Path or URI of its Parquet files, as Feast has it; None when its rows are elsewhere, and `elsewhere` says where."""
    columns: Mapping[str, str] = field(default_factory=dict)
    elsewhere: str = ""
    lost: tuple[str, ...] = ()


def convert(
    spec: Any, entities: Mapping[str, Any], project: str, *, name: str | None = None, known_at_event: bool = False
) -> Conversion:
    """Feast's view `spec`, with `entities` by name. `name`: ours, where theirs is not wanted. Raises ImportFailed for one
    that has no place here, InvalidDefinition for names that no column may have."""
    source = spec.batch_source
    if source.type == _PUSH or (not source.type and source.HasField("batch_source")):
        source = source.batch_source
    lost: list[str] = []
    mapped = dict(source.field_mapping)
    theirs = {ours: column for column, ours in mapped.items()}
    keys = _keys(spec, entities)
    features = []
    for one in spec.features:
        kind = _TYPES.get(one.value_type)
        if kind is None:
            lost.append(f"feature {one.name}: its type is not among ours")
        else:
            features.append(Feature(name=one.name, type=kind, description=one.description[:1000]))
    if not features:
        raise ImportFailed("it has no feature of a type that is known here")
    event = mapped.get(source.timestamp_field, source.timestamp_field) or "event_timestamp"
    created = mapped.get(source.created_timestamp_column, source.created_timestamp_column) or (KNOWN if known_at_event else None)
    if not source.created_timestamp_column and not known_at_event:
        lost.append(
            "Feast does not know when rows became known: they count as known from this import on"
            " (with --known-at-event from their event time on)"
        )
    delta = source.file_options.uri if source.file_options.file_format.HasField("delta_format") else None
    view = FeatureView(
        name=name or view_name(spec.name),
        description=spec.description[:4000],
        entities=keys,
        event_time=event,
        created_time=created,
        ttl=_duration(spec.ttl.seconds),
        features=tuple(features),
        source=Source(delta=delta) if delta else None,
        tags=_tags(spec, project),
    )
    columns = {column: theirs.get(column, column) for column in view.columns}
    if not source.created_timestamp_column and known_at_event:
        columns[KNOWN] = columns[event]
    if source.type == _FILE or source.HasField("file_options"):
        return Conversion(spec.name, view, None if delta else source.file_options.uri, columns, delta or "", tuple(lost))
    return Conversion(spec.name, view, None, columns, _STORES.get(source.type, "another store"), tuple(lost))


def _keys(spec: Any, entities: Mapping[str, Any]) -> tuple[EntityKey, ...]:
    """Join keys, with the types that the view has for them, else those of the entities."""
    typed = {column.name: column.value_type for column in spec.entity_columns}
    keys = []
    for name in spec.entities:
        entity = entities.get(name)
        if name == "__dummy":
            raise ImportFailed("it has no entity: one row for everything is nothing that could be joined")
        if entity is None:
            raise ImportFailed(f"its entity {name} is not in the registry")
        column = entity.join_key or entity.name
        kind = _TYPES.get(typed.get(column) or entity.value_type or 2, "")
        if kind not in _KEYS:
            raise ImportFailed(f"its entity key {column} is of a type of which equal values cannot be told")
        keys.append(EntityKey(name=column, type=kind, description=entity.description[:1000]))
    return tuple(keys)


def view_name(theirs: str) -> str:
    """A DNS label like `theirs`: features keep Feast's full names, in which ``-`` is written ``_``."""
    return re.sub(r"[^a-z0-9]+", "-", theirs.lower()).strip("-")[:63].rstrip("-")


def services(specs: Any, taken: Mapping[str, Conversion]) -> dict[str, list[str]]:
    """Feature services, as what a training set is asked for: names of features of the views that were `taken`."""
    found: dict[str, list[str]] = {}
    for spec in specs:
        names = []
        for part in spec.features:
            if (one := taken.get(part.feature_view_name)) is not None:
                kept = set(one.view.feature_names)
                names += [f"{one.view.name}:{column.name}" for column in part.feature_columns if column.name in kept]
        if names:
            found[spec.name] = names
    return found


def _duration(seconds: int) -> str | None:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds > 0 and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return None


def _tags(spec: Any, project: str) -> dict[str, str]:
    own = {key: value[:256] for key, value in sorted(spec.tags.items())[:60]}
    return own | {"feast/project": project[:256], "feast/view": spec.name[:256]}
