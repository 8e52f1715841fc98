"""Feature store: feature views as data, Delta tables in the registry's bucket, training sets that cannot leak.

``FeatureStore.open("s3://bucket")`` is where to begin. Needs the extra ``slipway[features]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slipway.features.definitions import EntityKey, Feature, FeatureView, Source, parse
from slipway.features.errors import BadRow, BatchRefused, DefinitionChanged, FeatureError, InvalidDefinition, InvalidRequest

if TYPE_CHECKING:
    from slipway.features.store import FeatureStore, TrainingSet

__all__ = [
    "BadRow",
    "BatchRefused",
    "DefinitionChanged",
    "EntityKey",
    "Feature",
    "FeatureError",
    "FeatureStore",
    "FeatureView",
    "InvalidDefinition",
    "InvalidRequest",
    "Source",
    "TrainingSet",
    "parse",
]


def __getattr__(name: str) -> Any:
    """Imports what needs Arrow, Delta Lake and DuckDB only when it is asked for."""
    if name in ("FeatureStore", "TrainingSet"):
        from slipway.features import store

        return getattr(store, name)
    raise AttributeError(name)
