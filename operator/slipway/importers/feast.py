"""Feature views and their rows from a Feast repository with an offline store of files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.features.errors import FeatureError
from slipway.importers import feast_views
from slipway.importers.errors import ImportFailed
from slipway.importers.feast_registry import Repository
from slipway.importers.feast_views import Conversion
from slipway.registry.records import digest_of
from slipway.sources.errors import SourceError
from slipway.storage.port import Stores

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as pads

    from slipway.features.store import FeatureStore

_BATCH = 256 * 1024
_NOT_OURS = {
    "on_demand_feature_views": "it is a function, and functions of others are not run here",
    "stream_feature_views": "its rows come from a stream",
    "label_views": "labels are entity rows: give them to `slipway features snapshot --entities`",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one of Feast's views. `name`: ours, empty when it was not taken, and `why` says why. `read`: rows in
    its files; `rows`: those that were written; `same`: of entity and times that others had too; `without`: without a key
    or time."""

    theirs: str
    name: str = ""
    revision: int = 0
    read: int = 0
    rows: int = 0
    same: int = 0
    without: int = 0
    why: str = ""
    failed: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """Everything that an import did, and Feast's feature services as names of features."""

    views: tuple[Outcome, ...]
    services: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass
class FeastImport:
    """`rename`: our names for Feast's. `known_at_event`: rows without a time of creation count as known from their event
    time on. `tell` hears of each outcome."""

    repository: Repository
    store: FeatureStore
    stores: Stores
    by: str
    rename: Mapping[str, str] = field(default_factory=dict)
    known_at_event: bool = False
    rows: bool = True
    tell: Callable[[Outcome], None] = lambda _outcome: None

    def planned(self, only: Collection[str] = ()) -> tuple[list[Conversion], list[Outcome]]:
        """Views that can be taken, and those that cannot. `only` names Feast's. Raises ImportFailed for unknown names."""
        specs = self.repository.all_of("feature_views")
        others = {spec.name: why for kind, why in _NOT_OURS.items() for spec in self.repository.all_of(kind)}
        if unknown := sorted(set(only) - {spec.name for spec in specs} - set(others)):
            raise ImportFailed(
                f"there is no view {unknown[0]}: there are {', '.join(sorted(spec.name for spec in specs)) or 'none'}"
            )
        entities = {entity.name: entity for entity in self.repository.all_of("entities")}
        found, refused = [], []
        for spec in sorted(specs, key=lambda one: str(one.name)):
            if only and spec.name not in only:
                continue
            try:
                found.append(self._converted(spec, entities))
            except (ImportFailed, ValueError) as error:
                refused.append(Outcome(spec.name, why=_first_line(error), failed=True))
        refused += [Outcome(name, why=why) for name, why in sorted(others.items()) if not only or name in only]
        names = [one.view.name for one in found]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ImportFailed(f"two views would be called {twice[0]}: give one of them another name with --name THEIRS=OURS")
        return found, refused

    def all(self, only: Collection[str] = ()) -> Imported:
        """Takes definitions and rows. What is there already is not taken twice."""
        found, refused = self.planned(only)
        for outcome in refused:
            self.tell(outcome)
        done = [self._one(conversion) for conversion in found]
        taken = {one.theirs: one for one, outcome in zip(found, done, strict=True) if outcome.name}
        services = feast_views.services(self.repository.all_of("feature_services"), taken)
        return Imported((*done, *refused), services)

    def _converted(self, spec: Any, entities: Mapping[str, Any]) -> Conversion:
        name = self.rename.get(spec.name)
        return feast_views.convert(spec, entities, self.repository.project, name=name, known_at_event=self.known_at_event)

    def _one(self, conversion: Conversion) -> Outcome:
        outcome = Outcome(conversion.theirs, notes=conversion.lost)
        try:
            revision = self.store.apply(conversion.view, by=self.by)
            outcome = replace(outcome, name=f"{revision.namespace}/{revision.view}", revision=revision.number)
            if self.rows and conversion.files is not None:
                outcome = self._ingested(conversion, outcome)
            elif conversion.elsewhere and conversion.view.source is None:
                word = f"its rows are in {conversion.elsewhere}: export them to Parquet, and slipway features ingest {revision.view} FILE"
                outcome = replace(outcome, notes=(*outcome.notes, word))
        except (FeatureError, ImportFailed, SourceError) as error:
            outcome = replace(outcome, failed=True, why=str(error))
        self.tell(outcome)
        return outcome

    def _ingested(self, conversion: Conversion, outcome: Outcome) -> Outcome:
        from slipway.features.repeats import last_of_repeats

        view = conversion.view
        with _files(conversion.files or "", self.repository.root, self.stores) as (files, identity):
            batch_id = "feast-" + digest_of([identity, view.digest, conversion.columns])[7:39]
            counts = _Counts()
            with last_of_repeats(view, _read(files, conversion, counts)) as (rows, distinct):
                status = self.store.status(outcome.name)
                written = self.store.ingest(outcome.name, rows, upsert=status.rows > 0, time_zone="UTC", batch_id=batch_id)
        same = counts.read - counts.without - distinct
        return replace(outcome, read=counts.read, rows=written.rows, same=same, without=counts.without)


@dataclass
class _Counts:
    read: int = 0
    without: int = 0


@contextmanager
def _files(where: str, root: Path, stores: Stores) -> Iterator[tuple[pads.Dataset, object]]:
    """Feast's Parquet files, and what tells them from what they were at another time. Raises ImportFailed."""
    import pyarrow as pa
    import pyarrow.dataset as pads

    from slipway.sources.fetch import fetch_inputs
    from slipway.sources.pinned import PinnedInput
    from slipway.sources.resolve import pin_s3

    with tempfile.TemporaryDirectory(prefix="slipway-feast-") as folder:
        identity: object
        if where.startswith("s3://"):
            found = pin_s3(stores, where)
            fetch_inputs([PinnedInput(name="files", digest=found.digest, s3=found.pinned)], Path(folder), stores)
            path, identity = Path(folder) / "files", found.digest
        else:
            path = root / where.removeprefix("file://")
            parts = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
            if not all(part.is_file() for part in parts) or not parts:
                raise ImportFailed(f"there is no Parquet file at {path}")
            identity = [[str(part.relative_to(path)), part.stat().st_size, part.stat().st_mtime_ns] for part in parts]
        try:
            yield pads.dataset(path, format="parquet"), identity
        except pa.ArrowInvalid as error:
            raise ImportFailed(f"{where}: {_first_line(error)}") from error


def _read(files: pads.Dataset, conversion: Conversion, counts: _Counts) -> pa.RecordBatchReader:
    """The rows with our columns, numbered in the order of the files, without those that lack a key or time: Feast never
    joins these."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from slipway.features.batches import ROW

    columns = conversion.columns
    if missing := [column for column in columns.values() if column not in files.schema.names]:
        raise ImportFailed(f"the files have no column {missing[0]}: they have {', '.join(files.schema.names[:20])}")
    needed = [conversion.columns[name] for name in (*conversion.view.keys, *conversion.view.times)]
    fields = [pa.field(ours, files.schema.field(theirs).type) for ours, theirs in columns.items()]
    schema = pa.schema([*fields, pa.field(ROW, pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in files.scanner(columns=sorted(set(columns.values())), batch_size=_BATCH, batch_readahead=2).to_batches():
            numbers = pa.array(np.arange(counts.read, counts.read + batch.num_rows, dtype="int64"))
            counts.read += batch.num_rows
            made = pa.RecordBatch.from_arrays([*(batch[theirs] for theirs in columns.values()), numbers], schema=schema)
            there = pc.is_valid(batch[needed[0]])
            for column in needed[1:]:
                there = pc.and_(there, pc.is_valid(batch[column]))
            kept = made.filter(there)
            counts.without += batch.num_rows - kept.num_rows
            yield kept

    return pa.RecordBatchReader.from_batches(schema, batches())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
