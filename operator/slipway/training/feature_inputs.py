"""Inputs that are features: a frozen training set, or one made here of what was pinned. The pod's side of
`slipway.sources.feature_pins`."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.registry.errors import MissingBlob
from slipway.registry.records import FeatureRecord, InputRecord, UsedView
from slipway.registry.registry import Registry
from slipway.sources.errors import InputMissing, SourceInvalid
from slipway.sources.fetch import fetch_inputs
from slipway.sources.pinned import PinnedFeatures, PinnedInput, PinnedSnapshot, input_digest
from slipway.storage.port import Stores
from slipway.training.errors import TrainingError

if TYPE_CHECKING:
    from slipway.features.records import ViewPin

FILE = "data.parquet"


def fetch_features(inputs: Sequence[PinnedInput], dest: Path, registry: Registry, stores: Stores) -> tuple[InputRecord, ...]:
    """Brings the inputs that are features to ``dest/<name>/data.parquet``. Raises InputMissing, SourceInvalid, the store's errors."""
    records = []
    for entry in inputs:
        path = dest / entry.name / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.snapshot is not None:
            records.append(_of_snapshot(entry, entry.snapshot, path, registry))
        elif entry.features is not None:
            records.append(_of_views(entry, entry.features, path, registry, stores))
    return tuple(records)


def _of_snapshot(entry: PinnedInput, snapshot: PinnedSnapshot, path: Path, registry: Registry) -> InputRecord:
    try:
        registry.blobs.fetch(snapshot.files[0].digest, path)
    except MissingBlob as error:
        raise InputMissing(f"{entry.uri}: its rows are not in the registry: {error}") from error
    return InputRecord(
        name=entry.name,
        uri=entry.uri,
        digest=snapshot.files[0].digest,
        size=path.stat().st_size,
        rows=snapshot.rows,
        features=FeatureRecord(as_of=snapshot.as_of, views=_used(snapshot.views), snapshot=snapshot.digest),
    )


def _of_views(entry: PinnedInput, features: PinnedFeatures, path: Path, registry: Registry, stores: Stores) -> InputRecord:
    try:
        from slipway.features.errors import FeatureError
        from slipway.features.store import FeatureStore
    except ImportError as error:
        raise TrainingError(
            f"input {entry.name}: the training image has no {error.name}: give a featureSnapshot, or name in trainer.image one that was"
            " built by `slipway images build training --with features`",
            reason=SourceInvalid.reason,
        ) from error
    store = FeatureStore(registry, namespace=features.namespace)
    pins = {pin.view: pin for pin in features.views}
    try:
        with tempfile.TemporaryDirectory(prefix="slipway-entities-") as folder:
            rows = _make(store, entry, features, pins, Path(folder), path, stores)
    except FeatureError as error:
        raise SourceInvalid(f"input {entry.name}: {error}") from error
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return InputRecord(
        name=entry.name,
        uri=entry.uri,
        digest=f"sha256:{digest}",
        size=path.stat().st_size,
        rows=rows,
        features=FeatureRecord(
            as_of=features.as_of,
            views=_used(features.views),
            entities=features.entities.uri if features.entities is not None else None,
            identity=input_digest(entry),
        ),
    )


def _make(
    store: Any,
    entry: PinnedInput,
    features: PinnedFeatures,
    pins: Mapping[str, ViewPin],
    folder: Path,
    path: Path,
    stores: Stores,
) -> int:
    """Writes the training set to `path`, and gives its number of rows."""
    from slipway.features.join import ENTITY_TIME

    latest = features.as_of == "Latest"
    as_of = features.as_of if features.as_of == ENTITY_TIME or latest else datetime.fromisoformat(features.as_of)
    if features.entities is None:
        (pin,) = features.views
        return int(store.write_latest(pin, path, at=None if latest else as_of))
    fetch_inputs([PinnedInput(name="entities", digest=entry.digest, s3=features.entities)], folder, stores)
    wanted = [f"{pin.view}:{feature}" for pin in features.views for feature in pin.features]
    with store.training_set(
        entities_of(folder / "entities", features.entities.uri),
        wanted,
        time=features.time,
        as_of=as_of,
        full_names=features.full_names,
        pins=pins,
    ) as made:
        shutil.copyfile(made.path, path)
        return int(made.rows)


def entities_of(folder: Path, uri: str) -> Any:
    """The entity rows in `folder`, as an Arrow table or data set. Raises SourceInvalid."""
    import pyarrow as pa
    from pyarrow import csv, dataset

    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith((".", "_")))
    try:
        if files and all(file.suffix in (".parquet", ".pq") for file in files):
            return dataset.dataset([str(file) for file in files], format="parquet").to_table()
        if files and all(file.suffix == ".csv" for file in files):
            return pa.concat_tables([csv.read_csv(file) for file in files])
    except (pa.ArrowException, OSError) as error:
        raise SourceInvalid(f"entities {uri}: {error}") from error
    raise SourceInvalid(
        f"entities {uri}: Parquet or CSV files belong there, not {', '.join(f.name for f in files[:5]) or 'nothing'}"
    )


def _used(views: Sequence[ViewPin]) -> tuple[UsedView, ...]:
    return tuple(
        UsedView(
            view=pin.view, revision=pin.revision, definition=pin.definition, table_version=pin.table_version, tables=pin.tables
        )
        for pin in views
    )
