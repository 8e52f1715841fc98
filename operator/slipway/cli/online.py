"""Online reads from a terminal: entities as they are typed in, rows as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slipway.cli.errors import CliError, ExitCode
from slipway.serving.settings import environment

if TYPE_CHECKING:
    from slipway.features.definitions import FeatureView
    from slipway.features.store import FeatureStore


def online_url(given: str) -> str:
    """The online store that was named, else that of the environment; empty: the embedded one."""
    return given or environment().get("SLIPWAY_ONLINE_STORE", "")


def read_entities(
    store: FeatureStore, view: str, pairs: Sequence[str], online: str, revision: int | None
) -> list[dict[str, Any] | None]:
    """Keys, event time and features of each entity that `pairs` (``key=value``) name; None for one without. Raises CliError."""
    found = store.online(view, online=online_url(online), revision=revision)
    try:
        definition = found.view
        entities = parse_entities(definition, pairs)
        rows: list[dict[str, Any] | None] = []
        for entity, row in zip(entities, found.get(entities), strict=True):
            if row is None:
                rows.append(None)
            else:
                rows.append(entity | {definition.event_time: row[0]} | dict(zip(definition.feature_names, row[1], strict=True)))
        return rows
    finally:
        found.close()


def parse_entities(view: FeatureView, pairs: Sequence[str]) -> list[dict[str, Any]]:
    """``user=7 shop=a user=8 shop=b`` as two entities. Raises CliError."""
    from slipway.features.online.reading import parse_key

    types = {entity.name: entity.type for entity in view.entities}
    entities: list[dict[str, Any]] = [{}]
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or key not in types:
            raise CliError(f"--entity {pair}: write KEY=VALUE; {view.name} has the keys {', '.join(types)}", ExitCode.USAGE)
        if key in entities[-1]:
            entities.append({})
        try:
            entities[-1][key] = parse_key(text, types[key])
        except ValueError as error:
            raise CliError(f"--entity {pair}: {text!r} is not of type {types[key]}", ExitCode.USAGE) from error
    for entity in entities:
        if missing := [key for key in types if key not in entity]:
            given = ", ".join(f"{key}={value}" for key, value in entity.items())
            raise CliError(f"--entity: {missing[0]} is missing beside {given}", ExitCode.USAGE)
    return entities
