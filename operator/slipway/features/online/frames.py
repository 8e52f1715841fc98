"""Online reads for data frames: the same form out as in."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from slipway.features.batches import arrow_type
from slipway.features.errors import InvalidRequest
from slipway.features.online.reading import OnlineView


def read(view: OnlineView, entities: Any) -> Any:
    """`entities` with the newest features of each. Raises InvalidRequest, OnlineUnavailable."""
    if isinstance(entities, list):
        names = view.view.feature_names
        return [None if row is None else dict(zip(names, row[1], strict=True)) for row in view.get(entities)]
    if hasattr(entities, "iloc"):
        return _table(view, pa.Table.from_pandas(entities, preserve_index=False)).to_pandas()
    if isinstance(entities, pa.Table):
        return _table(view, entities)
    raise InvalidRequest(f"entities: a list of mappings, an Arrow table or a pandas frame, not {type(entities).__name__}")


def _table(view: OnlineView, entities: pa.Table) -> pa.Table:
    missing = [name for name in view.view.keys if name not in entities.column_names]
    if missing:
        raise InvalidRequest(
            f"entities: column {missing[0]} is missing: {view.view.name} has the keys {', '.join(view.view.keys)}"
        )
    rows = view.get(entities.select(list(view.view.keys)).to_pylist())
    for at, feature in enumerate(view.view.features):
        if feature.name in entities.column_names:
            raise InvalidRequest(f"entities: column {feature.name} would be there twice")
        values = pa.array([None if row is None else row[1][at] for row in rows], arrow_type(feature.type))
        entities = entities.append_column(feature.name, values)
    return entities
