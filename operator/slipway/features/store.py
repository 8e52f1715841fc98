"""The feature store: definitions, tables and snapshots of a registry, for everybody who reads or writes them."""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.dataset import dataset

from slipway.features import batches, ingested, tables
from slipway.features.definitions import FeatureView, check_name, parse
from slipway.features.engine import connection
from slipway.features.errors import BatchRefused, DefinitionChanged, InvalidDefinition, InvalidRequest
from slipway.features.ingestion import ingest, rows_of
from slipway.features.join import ENTITY_TIME, AsOf, Chosen, latest_sql, quoted
from slipway.features.online.frames import read
from slipway.features.online.port import OnlineStore
from slipway.features.online.reading import OnlineView
from slipway.features.online.service import Materialized, materialize, open_view
from slipway.features.records import Ingestion, Revision, Snapshot, SnapshotDraft, ViewPin
from slipway.features.snapshots import Snapshots
from slipway.features.statistics import describe
from slipway.features.summary import Summary
from slipway.features.tables import Table, Written
from slipway.features.training_set import Joined, Wanted, join
from slipway.features.views import Views, definition
from slipway.registry.names import ModelName
from slipway.registry.registry import Registry
from slipway.storage import S3Options
from slipway.storage.sharing import location

LATEST = "Latest"
"""As of nothing but the pinned table versions: whatever they hold was known."""
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)

Batch = Any
"""A pandas frame, an Arrow table, record batch, reader or data set, or anything else with ``__arrow_c_stream__``. Readers
and data sets may be larger than memory."""


@dataclass(frozen=True)
class TrainingSet:
    """A training set on disk, while its context lasts."""

    joined: Joined
    pins: tuple[ViewPin, ...]
    as_of: AsOf
    labels: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The Parquet file."""
        return self.joined.path

    @property
    def rows(self) -> int:
        """As many as there were entity rows."""
        return self.joined.rows

    def to_arrow(self) -> pa.Table:
        """All of it, in memory, in the order of the entity rows."""
        import pyarrow.parquet as pq

        return pq.read_table(self.path)

    def to_pandas(self) -> Any:
        """All of it as a pandas frame."""
        return self.to_arrow().to_pandas()


@dataclass(frozen=True)
class ViewStatus:
    """What there is of a view. `newest` is the latest event time, `written` the time of the last commit."""

    revision: Revision
    table_version: int | None
    rows: int
    newest: datetime | None
    written: datetime | None


class FeatureStore:
    """Thread-safe; all calls block, and may raise the store's and the registry's errors besides their own. Names are
    ``namespace/view``, or ``view`` alone in the default namespace."""

    def __init__(
        self,
        registry: Registry,
        *,
        namespace: str = "default",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        uuid: Callable[[], str] = lambda: str(uuid_module.uuid4()),
    ) -> None:
        self.registry = registry
        self.namespace = namespace
        self._store = registry.store
        self._views = Views(self._store)
        self._clock = clock
        self._uuid = uuid

    @classmethod
    def open(cls, uri: str, *, namespace: str = "default", options: S3Options | None = None) -> FeatureStore:
        """The feature store of the registry at ``s3://bucket/prefix`` or ``file:///folder``."""
        return cls(Registry.open(uri, options), namespace=namespace)

    # Definitions

    def apply(self, view: FeatureView | Mapping[str, Any], *, by: str = "python", namespace: str | None = None) -> Revision:
        """Makes `view` the present definition of its name. Raises InvalidDefinition, LostRace."""
        known = view if isinstance(view, FeatureView) else parse(dict(view))
        space = namespace or self.namespace
        if known.source is not None:
            for source in known.source.views:
                if self.view(f"{space}/{source}").source is not None:
                    raise InvalidDefinition(f"{known.name}: source.views: {source} is itself made from others: read those")
        return self._views.apply(space, known, by=by, writer=self._uuid(), now=self._clock)

    def names(self, namespace: str | None = None) -> list[ModelName]:
        """All views, sorted."""
        return self._views.names(namespace)

    def revision(self, name: str, number: int | None = None) -> Revision:
        """A definition as stored; None: the present one. Raises UnknownView."""
        return self._views.get(self._name(name), number)

    def view(self, name: str, number: int | None = None) -> FeatureView:
        """A definition; None: the present one. Raises UnknownView."""
        return definition(self.revision(name, number))

    def status(self, name: str) -> ViewStatus:
        """What there is of a view now."""
        revision = self.revision(name)
        view, found = definition(revision), None
        if view.source is None or view.source.delta is not None:
            found = self._table(self._name(name), view).open()
        if found is None:
            return ViewStatus(revision, None, 0, None, None)
        with connection() as (duck, _):
            duck.register("history", tables.dataset(found))
            newest = duck.execute(f"SELECT max({quoted(view.event_time)}) FROM history").fetchall()[0][0]
        written = found.history(1)[0].get("timestamp")
        at = datetime.fromtimestamp(written / 1000, UTC) if written else None
        return ViewStatus(revision, found.version(), tables.row_count(found), newest, at)

    # Rows in

    def ingest(
        self,
        name: str,
        batch: Batch,
        *,
        upsert: bool = False,
        time_zone: str | None = None,
        batch_id: str | None = None,
    ) -> Written:
        """Adds rows to a view's table: all of them, or none. With `upsert`, rows that say what is there already are left
        out; rows are never changed, so that the past can be read as it was. `time_zone` is that of times without one. A
        `batch_id` that was ingested before is not ingested again. Raises BatchRefused, UnknownView."""
        full, revision = self._name(name), self.revision(name)
        view = definition(revision)
        if view.source is not None:
            raise BatchRefused(f"{full}: its rows come from {'SQL' if view.source.sql else view.source.delta}, not from batches")
        now, summary = self._clock(), Summary(view)
        written = ingest(
            view,
            self._table(full, view),
            rows_of(batch),
            title=str(full),
            now=now,
            upsert=upsert,
            time_zone=time_zone,
            batch_id=batch_id,
            summary=summary,
        )
        if written.rows:
            ingested.keep(
                self._store, f"{full} table version {written.version}", partial(summary.ingestion, revision, written.version, now)
            )
        return written

    def ingestions(self, name: str, *, limit: int = 100) -> list[Ingestion]:
        """What was recorded of ingestions into a view, newest first."""
        return ingested.page(self._store, self._name(name), limit=limit)

    # Training sets out

    @contextmanager
    def training_set(
        self,
        entities: Any,
        features: Sequence[str],
        *,
        time: str = "event_time",
        as_of: AsOf | None = None,
        keys: Mapping[str, str] | None = None,
        full_names: bool = False,
        memory_bytes: int | None = None,
        pins: Mapping[str, ViewPin] | None = None,
    ) -> Iterator[TrainingSet]:
        """`entities` with `features` as they were known at `as_of` and held at each row's `time`.

        `features` names views (``view``) or single features (``view:feature``). `as_of` is a time with its zone (None:
        now) or ``EntityTime``: as known at each row's own time. `keys` maps an entity key to the column of `entities`
        that has another name. With `full_names` columns are called ``<view>__<feature>``. `memory_bytes` bounds what
        sorting and joining may use before they go to disk. `pins` says, by ``namespace/view``, which revision and table
        version to read; then `as_of` may be ``Latest``: all that is in those versions. Raises InvalidRequest, UnknownView."""
        moment = END_OF_TIME if as_of == LATEST and pins else self._as_of(as_of)
        wanted, read = [], []
        for name, chosen_names in self._grouped(features).items():
            want, pin = self._wanted(name, chosen_names, keys or {}, full_names, (pins or {}).get(str(name)))
            wanted.append(want)
            read.append(pin)
        source = entities if hasattr(entities, "iloc") or isinstance(entities, pa.Table) else _arrow(entities)
        with join(source, wanted, time=time, as_of=moment, memory_bytes=memory_bytes) as joined:
            taken = {time, *(column for want in wanted for _, column in (*want.chosen.keys, *want.chosen.names))}
            labels = tuple(column for column in joined.schema.names if column not in taken)
            yield TrainingSet(joined, tuple(read), moment, labels)

    def freeze(self, name: str, training_set: TrainingSet, *, by: str = "python") -> Snapshot:
        """Keeps a training set for good, under a name and the next number. The same content is kept once."""
        full = self._name(name)
        check_name(full.model)
        entry = self.registry.blobs.put_file(training_set.path, name="data.parquet", media_type="application/vnd.apache.parquet")
        as_of = training_set.as_of if isinstance(training_set.as_of, str) else training_set.as_of.isoformat()
        draft = SnapshotDraft(
            namespace=full.namespace,
            name=full.model,
            as_of=as_of,
            files=(entry,),
            rows=training_set.rows,
            columns={field.name: str(field.type) for field in training_set.joined.schema},
            label_columns=training_set.labels,
            views=training_set.pins,
            statistics=describe(dataset(training_set.path)),
        )
        return Snapshots(self._store, full).freeze(draft, by=by, writer=self._uuid(), now=self._clock)

    def snapshot(self, name: str, number: int | None = None) -> Snapshot:
        """A frozen training set; None: the newest. Raises UnknownSnapshot."""
        return Snapshots(self._store, self._name(name)).get(number)

    def snapshots(self, name: str, *, before: int | None = None, limit: int = 100) -> list[Snapshot]:
        """A page of snapshots, newest first."""
        return Snapshots(self._store, self._name(name)).page(before, limit)

    def latest(self, name: str, *, at: datetime | None = None, as_of: datetime | None = None) -> pa.Table:
        """The row of each entity that holds `at` a time (None: now), as known at `as_of` (None: the same time)."""
        moment = self._aware(at, "at") if at else self._clock()
        want, _ = self._wanted(self._name(name), None, {}, False)
        with want.relation() as duck:
            known = self._aware(as_of, "as_of") if as_of else moment
            return duck.sql(latest_sql(want.chosen.view, "history", moment, known)).to_arrow_table()

    def write_latest(self, pin: ViewPin, path: Path, *, at: datetime | None = None) -> int:
        """The row of each entity that held `at` a time, by what was known then, of a pinned view, to a Parquet file; gives
        their number. None: all that the pinned table version holds, as of its newest event time."""
        import pyarrow.parquet as pq

        want, _ = self._wanted(self._name(pin.view), tuple(pin.features), {}, False, pin)
        view = want.chosen.view
        columns = [*view.keys, view.event_time, *pin.features]
        with want.relation() as duck:
            newest = duck.execute(f"SELECT max({quoted(view.event_time)}) FROM history").fetchall()[0][0]
            moment, known = (at, at) if at is not None else (newest or END_OF_TIME, END_OF_TIME)
            sql = latest_sql(view, "history", moment, known, columns)
            rows = duck.sql(f"SELECT * FROM ({sql}) ORDER BY {', '.join(map(quoted, view.keys))}").to_arrow_table()
        pq.write_table(rows, path, compression="zstd")
        return int(rows.num_rows)

    # Online

    def materialize(
        self, name: str, *, to: datetime | None = None, online: str | OnlineStore = "", revision: int | None = None
    ) -> Materialized:
        """Brings the newest row of each entity, of those effective and known `to` a time (None: now), into an online store; only
        what came since the last time is read. `online`: URL of Redis or Valkey; empty: the embedded store. `revision`: by an
        earlier definition. Raises InvalidRequest for a time before the last one, OnlineUnavailable, UnknownView."""
        moment = self._aware(to, "to") if to is not None else None
        return materialize(self, self._views.get(self._name(name), revision), online, moment)

    def online(self, name: str, *, online: str | OnlineStore = "", revision: int | None = None) -> OnlineView:
        """The view's rows in an online store; ``reader.refresh()`` shows what was materialised since. Raises InvalidRequest when
        the definition was not materialised there, OnlineUnavailable."""
        return open_view(self, self._views.get(self._name(name), revision), online)

    def read_online(self, name: str, entities: Any, *, online: str | OnlineStore = "", revision: int | None = None) -> Any:
        """The newest features of `entities`: a list of mappings gives one (None where there is no row), an Arrow table or a pandas
        frame the same with the features as further columns, nulls where there is no row."""
        with closing(self.online(name, online=online, revision=revision)) as view:
            return read(view, entities)

    def rows_of_view(self, revision: Revision) -> tuple[Wanted, ViewPin, Table]:
        """All features of a view by one of its definitions: what to read, what that pins, and its table."""
        name, view = ModelName(revision.namespace, revision.view), definition(revision)
        pin = ViewPin(view=str(name), revision=revision.number, definition=revision.digest, features=view.feature_names)
        want, pinned = self._wanted(name, view.feature_names, {}, False, pin)
        return want, pinned, self._table(name, view)

    def now(self) -> datetime:
        """By the store's clock, in UTC."""
        return self._clock()

    # How things are found

    def _as_of(self, as_of: AsOf | None) -> AsOf:
        if as_of is None:
            return self._clock()
        if isinstance(as_of, str):
            if as_of != ENTITY_TIME:
                raise InvalidRequest(f"as_of: {as_of!r}: give a time with its zone, or {ENTITY_TIME!r}")
            return as_of
        return self._aware(as_of, "as_of")

    @staticmethod
    def _aware(time: datetime, what: str) -> datetime:
        if time.tzinfo is None:
            raise InvalidRequest(f"{what}: {time.isoformat()} has no time zone: add one, as datetime(…, tzinfo=UTC)")
        return time.astimezone(UTC)

    def _grouped(self, features: Sequence[str]) -> dict[ModelName, tuple[str, ...] | None]:
        """Features by view, in the order asked for; None: all of a view's."""
        if isinstance(features, str) or not features:
            raise InvalidRequest("features: name at least one view, or feature as view:feature, in a list")
        grouped: dict[ModelName, tuple[str, ...] | None] = {}
        for text in features:
            view, colon, feature = text.partition(":")
            name = self._name(view)
            if not colon:
                grouped[name] = None
            elif name not in grouped or grouped[name] is not None:
                grouped[name] = (*(grouped.get(name) or ()), feature)
        return grouped

    def _wanted(
        self,
        name: ModelName,
        features: tuple[str, ...] | None,
        keys: Mapping[str, str],
        full_names: bool,
        pinned: ViewPin | None = None,
    ) -> tuple[Wanted, ViewPin]:
        revision = self._views.get(name, pinned.revision if pinned else None)
        if pinned is not None and revision.digest != pinned.definition:
            raise DefinitionChanged(f"{name} revision {revision.number} is {revision.digest}, not {pinned.definition}")
        view = definition(revision)
        chosen = features if features is not None else view.feature_names
        for feature in chosen:
            if feature not in view.feature_names:
                raise InvalidRequest(f"features: {name} has no feature {feature!r}: it has {', '.join(view.feature_names[:20])}")
        names = tuple((feature, f"{view.name.replace('-', '_')}__{feature}" if full_names else feature) for feature in chosen)
        select = Chosen(view, names, tuple((key, keys.get(key, key)) for key in view.keys))
        pin = ViewPin(view=str(name), revision=revision.number, definition=revision.digest, features=chosen)
        if view.source is not None and view.source.sql is not None:
            sources, versions = {}, {}
            for other in view.source.views:
                held = pinned.tables.get(f"{name.namespace}/{other}") if pinned else None
                rows, version = self._rows(ModelName(name.namespace, other), self.view(f"{name.namespace}/{other}"), held)
                sources[other.replace("-", "_")], versions[f"{name.namespace}/{other}"] = rows, version
            tables_read = {view_name: version for view_name, version in versions.items() if version is not None}
            return Wanted(select, None, view.source.sql, sources), pin.model_copy(update={"tables": tables_read})
        rows, version = self._rows(name, view, pinned.table_version if pinned else None)
        return Wanted(select, rows), pin.model_copy(update={"table_version": version})

    def _rows(self, name: ModelName, view: FeatureView, version: int | None = None) -> tuple[Any, int | None]:
        """A view's rows as DuckDB reads them, and the version of its table. Columns that the table lacks are null."""
        found = self._table(name, view).open(version)
        wanted = batches.table_schema(view)
        if found is None:
            return wanted.empty_table(), None
        return found.to_pyarrow_dataset(schema=tables.widened(found, wanted)), found.version()

    def _table(self, name: ModelName, view: FeatureView) -> Table:
        if view.source is not None and view.source.delta is not None:
            return Table(partial(tables.external, view.source.delta))
        return Table(lambda: location(self._store, f"features/{name.namespace}/{name.model}/table"))

    def _name(self, text: str | ModelName) -> ModelName:
        return text if isinstance(text, ModelName) else ModelName.parse(text, self.namespace)


def _arrow(batch: Batch) -> pa.Table:
    """A batch as an Arrow table."""
    if isinstance(batch, pa.Table):
        return batch
    if hasattr(batch, "iloc"):
        return pa.Table.from_pandas(batch, preserve_index=False)
    if isinstance(batch, pa.RecordBatch):
        return pa.Table.from_batches([batch])
    if hasattr(batch, "read_all"):
        return batch.read_all()
    if hasattr(batch, "__arrow_c_stream__"):
        return pa.table(batch)
    raise InvalidRequest(f"a pandas frame or an Arrow table belongs here, not {type(batch).__name__}")
