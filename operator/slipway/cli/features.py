"""``slipway features …``: feature views, rows into them, training sets out of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.history import parse_time
from slipway.cli.online import online_url, read_entities
from slipway.cli.options import Document, DocumentOption, Output, OutputOption, with_session
from slipway.cli.output import age, emit, fields, moment, note, plain, say, short, size, table
from slipway.cli.session import Session, login

if TYPE_CHECKING:
    from slipway.features.records import Snapshot
    from slipway.features.store import FeatureStore


app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)
ViewArgument = Annotated[str, typer.Argument(metavar="VIEW", help="Name of a feature view.")]
FileOption = Annotated[
    Path, typer.Option("--file", "-f", metavar="FILE", help="YAML; '-' is stdin. Several documents may be in it.")
]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="TIME", help="What was known then, as 2026-11-03T12:00Z; or EntityTime. Default: now."),
]
OnlineOption = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        help="Online store, redis://host:6379/0. Default: SLIPWAY_ONLINE_STORE, or the registry's bucket.",
    ),
]


@app.callback()
def features() -> None:
    """Define features, ingest rows, make training sets that cannot leak."""


@app.command("apply")
@with_session
def apply(session: Session, file: FileOption, form: OutputOption = Output.TABLE) -> None:
    """Make feature views what a YAML file says. A view that is so already is left alone."""
    import yaml

    from slipway.features import parse

    where = "stdin" if str(file) == "-" else str(file)
    text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text()
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise CliError(f"{where} is not YAML: {error}", ExitCode.USAGE) from error
    if not documents:
        raise CliError(f"{where} holds no feature view", ExitCode.USAGE)
    views = [parse(document, f"{where}, document {number}") for number, document in enumerate(documents, start=1)]
    store = _store(session)
    revisions = [store.apply(view, by=login()) for view in views]
    if form is Output.TABLE:
        for revision in revisions:
            say(f"{revision.namespace}/{revision.view} {'revision ' + str(revision.number) if revision.changed else 'unchanged'}")
    elif form is Output.NAME:
        for revision in revisions:
            print(f"{revision.namespace}/{revision.view}")
    else:
        emit([plain(revision) | {"changed": revision.changed} for revision in revisions], form)


@app.command("list")
@with_session
def list_views(session: Session, form: OutputOption = Output.TABLE) -> None:
    """List the feature views of the namespace."""
    store = _store(session)
    names = store.names(session.namespace)
    if form is Output.NAME:
        for name in names:
            print(name)
        return
    found = [store.status(str(name)) for name in names]
    if form is not Output.TABLE:
        emit([_status(status) for status in found], form)
        return
    if not found:
        note(f"no feature views in {session.namespace}")
        return
    now = session.now()
    rows = [
        [
            status.revision.view,
            str(status.revision.number),
            str(len(status.revision.definition["features"])),
            f"{status.rows:,}",
            age(status.newest, now) or "-",
            age(status.written, now) or "-",
        ]
        for status in found
    ]
    table(["VIEW", "REVISION", "FEATURES", "ROWS", "NEWEST EVENT", "WRITTEN"], rows)


@app.command("show")
@with_session
def show(
    session: Session,
    view: ViewArgument,
    revision: Annotated[
        int | None, typer.Option("--revision", min=1, help="An earlier definition. Default: the present one.")
    ] = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Show a view's definition, and what there is of it."""
    store = _store(session)
    status = store.status(view)
    record = store.revision(view, revision) if revision else status.revision
    if form is not Document.TABLE:
        emit(_status(status) | {"revision": plain(record)}, form)
        return
    definition = store.view(view, record.number)
    now = session.now()
    fields(
        [
            ("Name", f"{record.namespace}/{record.view}"),
            ("Description", definition.description),
            ("Revision", f"{record.number}, {short(record.digest)}, by {record.by} at {moment(record.at)}"),
            ("Entity keys", ", ".join(f"{entity.name} ({entity.type})" for entity in definition.entities)),
            ("Times", ", ".join(definition.times)),
            ("TTL", definition.ttl or "none: rows do not expire"),
            (
                "Rows",
                f"{status.rows:,}" + (f" in table version {status.table_version}" if status.table_version is not None else ""),
            ),
            ("Newest event", f"{moment(status.newest)} ({age(status.newest, now)} ago)" if status.newest else ""),
        ]
    )
    print()
    table(["FEATURE", "TYPE", "DESCRIPTION"], [[one.name, one.type, one.description] for one in definition.features])


@app.command("ingest")
@with_session
def ingest(
    session: Session,
    view: ViewArgument,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Parquet, CSV or Arrow (.parquet, .csv, .arrow, .feather).")],
    upsert: Annotated[bool, typer.Option("--upsert", help="Leave out rows that say what is there already.")] = False,
    time_zone: Annotated[str | None, typer.Option("--time-zone", metavar="ZONE", help="Zone of times that have none.")] = None,
    batch_id: Annotated[str | None, typer.Option("--batch-id", metavar="ID", help="The same batch is ingested once.")] = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Add the rows of a file to a view.

    All of them, or none when one does not fit.
    """
    written = _store(session).ingest(view, _stream(path), upsert=upsert, time_zone=time_zone, batch_id=batch_id)
    if form is not Document.TABLE:
        emit({"rows": written.rows, "tableVersion": written.version}, form)
    elif written.rows:
        say(f"{written.rows:,} rows written, table version {written.version}")
    else:
        say("0 rows: nothing was written")


@app.command("snapshot")
@with_session
def snapshot(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the training set.")],
    entities: Annotated[Path, typer.Option("--entities", metavar="FILE", help="Entity rows: keys, a time, and labels.")],
    feature: Annotated[list[str], typer.Option("--feature", metavar="VIEW[:FEATURE]", help="What to join; repeatable.")],
    time: Annotated[str, typer.Option("--time", metavar="COLUMN", help="The entity rows' time.")] = "event_time",
    as_of: AsOfOption = None,
    full_names: Annotated[bool, typer.Option("--full-names", help="Call columns VIEW__FEATURE.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the Parquet file here too.")] = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Join features to entity rows as they were known.

    The result is kept by digest under a number.
    """
    import shutil

    store = _store(session)
    moment_asked = _as_of(as_of)
    with store.training_set(_read(entities), feature, time=time, as_of=moment_asked, full_names=full_names) as made:
        frozen = store.freeze(name, made, by=login())
        if out is not None:
            shutil.copyfile(made.path, out)
    if form is not Document.TABLE:
        emit(plain(frozen) | {"changed": frozen.changed}, form)
        return
    known = "" if frozen.changed else " (the same as before: nothing was written)"
    say(f"snapshot {frozen.namespace}/{frozen.name}:{frozen.number}{known}: {frozen.rows:,} rows, {short(frozen.digest)}")


@app.command("snapshots")
@with_session
def snapshots(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the training set.")],
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    form: DocumentOption = Document.TABLE,
) -> None:
    """List the snapshots of a training set, newest first."""
    store = _store(session)
    page = store.snapshots(name, limit=limit)
    if not page:
        store.snapshot(name)  # raises, and says what is there
    if form is not Document.TABLE:
        emit([plain(one) for one in page], form)
        return
    now = session.now()
    table(["NUMBER", "ROWS", "SIZE", "AS OF", "VIEWS", "DIGEST", "AGE"], [_row(one, now) for one in page])


@app.command("materialize")
@with_session
def materialize(
    session: Session,
    view: ViewArgument,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Rows that held and were known then. Default: now.")
    ] = None,
    online: OnlineOption = "",
    revision: Annotated[
        int | None, typer.Option("--revision", min=1, help="By an earlier definition, for models trained on it.")
    ] = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Bring the newest rows into the online store.

    One of each entity; only what came since the last time is read.
    """
    moment_asked = parse_time(to) if to else None
    done = _store(session).materialize(view, to=moment_asked, online=online_url(online), revision=revision)
    if form is not Document.TABLE:
        emit(plain(done.state) | {"rows": done.rows, "whole": done.whole}, form)
        return
    version = "no table yet" if done.state.table_version is None and not done.state.tables else f"{done.rows:,} rows"
    if done.state.table_version is not None:
        version += f", table version {done.state.table_version}"
    say(
        f"{done.state.view} revision {done.state.revision}: {version}, to {moment(done.state.to)}{' (from the beginning)' if done.whole else ''}"
    )


@app.command("get")
@with_session
def get(
    session: Session,
    view: ViewArgument,
    entity: Annotated[
        list[str] | None,
        typer.Option(
            "--entity", metavar="KEY=VALUE", help="Read this entity online; a key that comes again begins the next one."
        ),
    ] = None,
    online: OnlineOption = "",
    revision: Annotated[int | None, typer.Option("--revision", min=1, help="Online: by an earlier definition.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="Rows that held then, from the table. Default: now.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many rows at most, from the table.")] = 20,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Show the newest features of entities.

    From the online store; without --entity, of all from the table.
    """
    if entity:
        if at:
            raise CliError("--at reads the table, --entity the online store: give one of them", ExitCode.USAGE)
        rows = read_entities(_store(session), view, entity, online, revision)
        if form is not Document.TABLE:
            emit([None if row is None else {name: _json(value) for name, value in row.items()} for row in rows], form)
        elif found := [row for row in rows if row is not None]:
            table(list(found[0]), [[str(_json(value)) for value in row.values()] for row in found])
        if missing := rows.count(None):
            raise CliError(
                f"{missing} of {len(rows)} entities have no features there, or none within their TTL", ExitCode.NOT_FOUND
            )
        return
    found_rows = _store(session).latest(view, at=parse_time(at) if at else None)
    shown = found_rows.slice(0, limit).to_pylist()
    if form is not Document.TABLE:
        emit([{name: _json(value) for name, value in row.items()} for row in shown], form)
        return
    table(found_rows.column_names, [[str(_json(value)) for value in row.values()] for row in shown])
    if found_rows.num_rows > limit:
        note(f"{found_rows.num_rows - limit:,} more entities: --limit shows more")


def _store(session: Session) -> FeatureStore:
    from slipway.features.store import FeatureStore

    return FeatureStore(session.registry, namespace=session.namespace)


def _as_of(text: str | None) -> datetime | str | None:
    return text if text is None or text == "EntityTime" else parse_time(text)


def _stream(path: Path) -> Any:
    """A file's rows as what is read piece by piece where its format allows it. Raises CliError."""
    if path.suffix.lower() not in (".parquet", ".pq") or not path.is_file():
        return _read(path)
    import pyarrow as pa
    from pyarrow import dataset

    try:
        return dataset.dataset(path, format="parquet")
    except (pa.ArrowException, OSError) as error:
        raise CliError(f"{path}: {error}") from error


def _read(path: Path) -> Any:
    """A file's rows as an Arrow table. Raises CliError."""
    import pyarrow as pa

    if not path.is_file():
        raise CliError(f"{path}: there is no such file", ExitCode.NOT_FOUND)
    ending = path.suffix.lower()
    try:
        if ending in (".parquet", ".pq"):
            from pyarrow import parquet

            return parquet.read_table(path)
        if ending == ".csv":
            from pyarrow import csv

            return csv.read_csv(path)
        if ending in (".arrow", ".feather", ".ipc"):
            from pyarrow import feather

            return feather.read_table(path)
    except pa.ArrowException as error:
        raise CliError(f"{path}: {error}") from error
    raise CliError(f"{path}: a file ending in .parquet, .csv, .arrow or .feather is read", ExitCode.USAGE)


def _status(status: Any) -> dict[str, Any]:
    return {
        "revision": plain(status.revision),
        "tableVersion": status.table_version,
        "rows": status.rows,
        "newest": moment(status.newest) if status.newest else None,
        "written": moment(status.written) if status.written else None,
    }


def _row(one: Snapshot, now: datetime) -> list[str]:
    views = ", ".join(pin.view.rpartition("/")[2] for pin in one.views)
    bytes_ = sum(entry.size for entry in one.files)
    return [str(one.number), f"{one.rows:,}", size(bytes_), one.as_of[:19], views, short(one.digest), age(one.created_at, now)]


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return moment(value)
    return value if value is None or isinstance(value, (bool, int, float, str, list)) else str(value)
