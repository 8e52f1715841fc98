"""Reads everything that a FeatureView's next step depends on: two lists when nothing has changed."""

from __future__ import annotations

from slipway.api import conditions
from slipway.api.common import InvalidResource
from slipway.api.feature_view import FeatureView, FeatureViewStatus
from slipway.controllers.feature_view.observed import Observed
from slipway.controllers.feature_view.policy import is_in_force
from slipway.features import delta_log, ingested
from slipway.features.delta_log import EMPTY, TableFacts
from slipway.features.errors import UnknownView
from slipway.features.records import Ingestion, Revision
from slipway.features.views import Views
from slipway.kube.port import Object
from slipway.reconcile.contract import Stalled
from slipway.reconcile.deps import Deps
from slipway.registry.names import ModelName
from slipway.storage.keys import parse_s3
from slipway.storage.port import InvalidKey, ObjectStore, Stores


async def observe(deps: Deps, resource: Object) -> Observed:
    """Raises Stalled for what cannot be understood, and the store's errors."""
    try:
        view = FeatureView.parse(resource)
    except InvalidResource as error:
        raise Stalled(conditions.INVALID_SPEC, str(error)) from error
    return await deps.executor.run(_look, deps.registry.store, deps.stores, view)


def _look(store: ObjectStore, stores: Stores, view: FeatureView) -> Observed:
    name = ModelName(view.metadata.namespace, view.metadata.name)
    views, status = Views(store), view.status or FeatureViewStatus()
    last = views.last(name, status.revision.number if status.revision else 0)
    settled = is_in_force(view, last)
    table = _table(store, stores, view, name)
    if settled:
        return Observed(view, settled=True, table=table)
    present = views.get(name, last) if last else None
    source = view.spec.source
    read = {other: _revision(views, ModelName(name.namespace, other)) for other in (source.views if source else ())}
    return Observed(view, present=present, sources=read, table=table)


def _revision(views: Views, name: ModelName) -> Revision | None:
    try:
        return views.get(name)
    except UnknownView:
        return None


def _table(store: ObjectStore, stores: Stores, view: FeatureView, name: ModelName) -> TableFacts | None:
    """What there is of the view's table. A view over SQL has none of its own."""
    source = view.spec.source
    if source is None:
        return _facts(store, f"features/{name.namespace}/{name.model}/table", view, name)
    if source.delta is None:
        return None
    try:
        place = parse_s3(source.delta)
    except InvalidKey as error:
        raise Stalled(conditions.INVALID_SPEC, f"source.delta: {error}") from error
    return _facts(stores(place.bucket), place.path.strip("/"), view, None)


def _facts(store: ObjectStore, folder: str, view: FeatureView, recorded: ModelName | None) -> TableFacts | None:
    known = _known(view.status or FeatureViewStatus())
    versions = delta_log.commits_after(store, folder, known.version)
    if versions is None:
        known, versions = EMPTY, delta_log.commits_after(store, folder, -1) or []
    record: Ingestion | None = None
    if recorded is not None and (versions or not _is_recorded(view, known)):
        record = ingested.newest(store, recorded)
    return delta_log.facts(store, folder, versions, view.spec.event_time, known, record)


def _known(status: FeatureViewStatus) -> TableFacts:
    """What status says of the table: where to go on from."""
    if status.table is None:
        return EMPTY
    fresh = status.freshness
    newest, written = (fresh.last_event_time, fresh.last_ingested) if fresh else (None, None)
    return TableFacts(status.table.version, status.table.rows, newest, written, status.table.message or "")


def _is_recorded(view: FeatureView, known: TableFacts) -> bool:
    """Whether status has what was recorded of the version that it knows. A record follows its commit by a moment."""
    quality = view.status.quality if view.status else None
    return known.version < 0 or (quality is not None and quality.table_version == known.version)
