"""What a build names of the feature store, pinned to what it is at this moment: definitions, table versions, a snapshot.

The operator's side: it reads small objects and lists a table's log; rows are joined in the training pod. Needs neither
Delta Lake nor DuckDB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress

from slipway.features.definitions import FeatureView, Source
from slipway.features.errors import InvalidRequest, UnknownSnapshot, UnknownView
from slipway.features.records import ViewPin
from slipway.features.snapshots import Snapshots
from slipway.features.views import Views, definition
from slipway.registry.names import ModelName
from slipway.sources.errors import InputMissing, SourceInvalid
from slipway.sources.pinned import PinnedFeatures, PinnedS3, PinnedSnapshot
from slipway.storage.keys import parse_s3
from slipway.storage.port import NotFound, ObjectStore, Stores

_COMMIT = re.compile(r"(\d{20})\.json")


def pin_snapshot(store: ObjectStore, namespace: str, name: str, number: int | None) -> PinnedSnapshot:
    """A frozen training set; None: the newest. Raises InputMissing."""
    try:
        found = Snapshots(store, ModelName(namespace, name)).get(number)
    except UnknownSnapshot as error:
        raise InputMissing(f"feature snapshot {error}") from error
    return PinnedSnapshot(
        namespace=namespace,
        name=name,
        number=found.number,
        digest=found.digest,
        files=found.files,
        rows=found.rows,
        as_of=found.as_of,
        views=found.views,
    )


def pin_features(
    store: ObjectStore,
    stores: Stores,
    namespace: str,
    names: Sequence[str],
    *,
    as_of: str,
    time: str,
    full_names: bool,
    entities: PinnedS3 | None,
) -> PinnedFeatures:
    """Views, or ``view:feature``, as they are now. Raises InputMissing for what is not there (yet), SourceInvalid."""
    wanted: dict[str, tuple[str, ...] | None] = {}
    for text in names:
        view, colon, feature = text.partition(":")
        if not colon:
            wanted[view] = None
        elif view not in wanted or wanted[view] is not None:
            wanted[view] = (*(wanted.get(view) or ()), feature)
    pins = tuple(_pin(store, stores, namespace, view, features) for view, features in wanted.items())
    return PinnedFeatures(namespace=namespace, views=pins, as_of=as_of, time=time, full_names=full_names, entities=entities)


def _pin(store: ObjectStore, stores: Stores, namespace: str, name: str, features: tuple[str, ...] | None) -> ViewPin:
    full = ModelName(namespace, name)
    try:
        revision = Views(store).get(full)
        view = definition(revision)
        for feature in features or ():
            if feature not in view.feature_names:
                raise InvalidRequest(f"{full} has no feature {feature!r}: it has {', '.join(view.feature_names[:20])}")
        version, tables = _versions(store, stores, full, view)
    except UnknownView as error:
        raise InputMissing(str(error)) from error
    except InvalidRequest as error:
        raise SourceInvalid(str(error)) from error
    return ViewPin(
        view=str(full),
        revision=revision.number,
        definition=revision.digest,
        table_version=version,
        tables=tables,
        features=features or view.feature_names,
    )


def _versions(store: ObjectStore, stores: Stores, name: ModelName, view: FeatureView) -> tuple[int | None, dict[str, int]]:
    """The version of a view's table; for one made by SQL those of the tables that it reads."""
    if view.source is None:
        return _own(store, name), {}
    if view.source.sql is not None:
        return None, {f"{name.namespace}/{other}": _own(store, ModelName(name.namespace, other)) for other in view.source.views}
    return _external(stores, name, view.source), {}


def _own(store: ObjectStore, name: ModelName) -> int:
    found = newest_version(store, f"features/{name.namespace}/{name.model}/table/")
    if found is None:
        raise InputMissing(f"feature view {name} has no rows yet: slipway features ingest {name.model} FILE")
    return found


def _external(stores: Stores, name: ModelName, source: Source) -> int:
    uri = source.delta or ""
    if not uri.startswith("s3://"):
        raise SourceInvalid(f"feature view {name}: source.delta {uri} is not in an S3 store: a pod cannot read it")
    place = parse_s3(uri)
    found = newest_version(stores(place.bucket), f"{place.path.rstrip('/')}/")
    if found is None:
        raise InputMissing(f"feature view {name}: there is no Delta table at {uri}")
    return found


def newest_version(store: ObjectStore, prefix: str) -> int | None:
    """The newest version of the Delta table whose files begin with `prefix`, told by its log alone; None: no table."""
    log = f"{prefix}_delta_log/"
    start = ""
    with suppress(NotFound, ValueError, KeyError, TypeError):  # a hint only: without it the whole log is listed
        start = f"{log}{int(json.loads(store.get(f'{log}_last_checkpoint').data)['version']):020d}"
    newest = None
    for info in store.list(log, start_after=start):
        if commit := _COMMIT.fullmatch(info.key.removeprefix(log)):
            newest = int(commit[1])
    return newest if newest is not None or not start else int(start.removeprefix(log))
