"""Materialising a view, and opening it for reads: the feature store's side of the online stores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from slipway.features.definitions import FeatureView
from slipway.features.errors import InvalidRequest
from slipway.features.online.changes import Counted, changes, newest_rows, next_turn
from slipway.features.online.connect import connect
from slipway.features.online.port import LostMaterialization, OnlineStore
from slipway.features.online.reading import OnlineView
from slipway.features.online.state import OnlineState, Target
from slipway.features.records import Revision
from slipway.features.views import definition
from slipway.registry.names import ModelName

if TYPE_CHECKING:
    from slipway.features.store import FeatureStore

_TRIES = 4
"""Times that a materialisation is begun again when another one of the same view was done meanwhile."""


@dataclass(frozen=True)
class Materialized:
    """What a materialisation did. `rows` were read and offered; those that were there already, or newer, changed nothing."""

    state: OnlineState
    rows: int
    whole: bool
    """Whether the table was read from its beginning, and what was there before replaced."""


def materialize(features: FeatureStore, revision: Revision, online: str | OnlineStore, to: datetime | None) -> Materialized:
    """`FeatureStore.materialize`."""
    view = definition(revision)
    store = _store(features, view, online)
    moment = to or features.now()
    for attempt in range(_TRIES):
        try:
            return _once(features, revision, view, store, moment, given=to is not None)
        except LostMaterialization:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _once(
    features: FeatureStore, revision: Revision, view: FeatureView, store: OnlineStore, to: datetime, *, given: bool
) -> Materialized:
    target = Target(ModelName(revision.namespace, revision.view), revision.digest)
    state = store.state(target)
    if state is not None and to < state.to:
        if given:
            raise InvalidRequest(f"to: {target.view} in {store.shown} is at {state.to.isoformat()} already: it does not go back")
        to = state.to  # the clock of whoever did it last is ahead of ours
    want, pin, table = features.rows_of_view(revision)
    found = changes(want, table, pin.table_version, state, pin.tables, to)
    after = OnlineState(
        view=str(target.view),
        revision=revision.number,
        definition=revision.digest,
        number=state.number + 1 if state is not None else 1,
        to=to,
        table_version=pin.table_version,
        tables=pin.tables,
        pending=next_turn(view, found, state, to),
        segments=state.segments if state is not None else (),
        generation=state.generation if state is not None else "",
        at=features.now(),
        writer=str(uuid4()),
    )
    own = {"number", "at", "writer"}
    if state is not None and found.nothing and after.model_dump(exclude=own) == state.model_dump(exclude=own):
        return Materialized(state, 0, False)
    counted = Counted(newest_rows(view, found, state.to if state is not None else None, to))
    oldest = to - view.max_age if view.max_age is not None else None
    stored = store.write(target, state, after, counted, replace=found.whole, oldest=oldest)
    return Materialized(stored, counted.rows, found.whole)


def open_view(features: FeatureStore, revision: Revision, online: str | OnlineStore) -> OnlineView:
    """`FeatureStore.online`."""
    view = definition(revision)
    store = _store(features, view, online)
    target = Target(ModelName(revision.namespace, revision.view), revision.digest)
    reader = store.reader(target)
    reader.refresh()
    if reader.state is None:
        others = store.definitions(target)
        why = f"other definitions of it are there ({', '.join(others)})" if others else "it was never materialised there"
        raise InvalidRequest(
            f"{target.view} revision {revision.number} is not in {store.shown}: {why}: slipway features materialize {revision.view}"
        )
    return OnlineView(view, reader, clock=features.now)


def _store(features: FeatureStore, view: FeatureView, online: str | OnlineStore) -> OnlineStore:
    return connect(online, features.registry.store, ttl=view.max_age) if isinstance(online, str) else online
