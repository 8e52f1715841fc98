"""``slipway import feast``: feature views and their rows from a Feast repository."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, note, say
from slipway.cli.session import Session, login

if TYPE_CHECKING:
    from slipway.importers.feast import Imported, Outcome


@with_session
def feast(
    session: Session,
    repository: Annotated[Path, typer.Argument(metavar="REPO", help="The folder that holds feature_store.yaml.")],
    registry_file: Annotated[
        Path | None,
        typer.Option("--registry-file", metavar="FILE", help="A registry file, or what `feast registry-dump` wrote (.json)."),
    ] = None,
    view: Annotated[
        list[str] | None, typer.Option("--view", metavar="NAME", help="Only this view, by Feast's name; repeatable.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="THEIRS=OURS", help="Our name for a view; repeatable.")
    ] = None,
    known_at_event: Annotated[
        bool,
        typer.Option("--known-at-event", help="Rows without a time of creation were known from their event time on."),
    ] = False,
    definitions_only: Annotated[bool, typer.Option("--definitions-only", help="Take no rows.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; print the definitions as YAML.")] = False,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Import feature views and their rows from a Feast repository.

    Reads Feast's registry and the Parquet files of its offline store; Feast need not be installed, and nothing in the registry
    is run. May be run again: a changed definition is a new revision, and of the rows only new ones are taken. A view over a
    Delta table is read where it is.
    """
    from slipway.features.store import FeatureStore
    from slipway.importers.errors import ImportFailed
    from slipway.importers.feast import FeastImport
    from slipway.importers.feast_registry import read_repository

    try:
        work = FeastImport(
            read_repository(repository, _stores, registry_file),
            FeatureStore(session.registry, namespace=session.namespace),
            _stores,
            login(),
            rename=_renamed(name),
            known_at_event=known_at_event,
            rows=not definitions_only,
            tell=_tell if form is Document.TABLE and not dry_run else lambda _outcome: None,
        )
        if dry_run:
            _print(work, view or ())
            return
        done = work.all(view or ())
    except ImportFailed as error:
        raise CliError(str(error)) from error
    _answer(done, form)
    if any(outcome.failed for outcome in done.views):
        sys.exit(ExitCode.FAILED)


def _stores(bucket: str) -> Any:
    from slipway.storage import open_store

    return open_store(f"s3://{bucket}")


def _renamed(given: list[str] | None) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in given or ()]
    if not all(theirs and equals and ours for theirs, equals, ours in pairs):
        raise CliError("--name: write --name their_name=our-name", ExitCode.USAGE)
    return {theirs: ours for theirs, _, ours in pairs}


def _print(work: Any, only: Any) -> None:
    import yaml

    found, refused = work.planned(only)
    print(yaml.safe_dump_all([one.view.to_dict() for one in found], sort_keys=False), end="")
    for outcome in refused:
        _tell(outcome)


def _tell(outcome: Outcome) -> None:
    if not outcome.name or outcome.failed:
        note(f"{outcome.theirs}: not imported: {outcome.why}")
    else:
        rows = f", {outcome.rows:,} of {outcome.read:,} rows written" if outcome.read else ""
        left = [f"{outcome.same:,} repeated"] * bool(outcome.same) + [f"{outcome.without:,} without key or time"] * bool(
            outcome.without
        )
        left_out = f" ({', '.join(left)})" if left else ""
        say(f"{outcome.theirs} is {outcome.name}, revision {outcome.revision}{rows}{left_out}")
    for text in outcome.notes:
        note(f"{outcome.theirs}: {text}")


def _answer(done: Imported, form: Document) -> None:
    if form is not Document.TABLE:
        emit({"views": [_plain(outcome) for outcome in done.views], "featureServices": dict(done.services)}, form)
        return
    for service, names in done.services.items():
        say(f"feature service {service}: {' '.join(f'--feature {name}' for name in names)}")
    taken = [one for one in done.views if one.name and not one.failed]
    say(f"{len(taken)} of {len(done.views)} views, {sum(one.rows for one in taken):,} rows")


def _plain(one: Outcome) -> dict[str, Any]:
    if not one.name or one.failed:
        return {"feast": one.theirs, "view": one.name or None, "why": one.why, "failed": one.failed}
    counts = {"read": one.read, "written": one.rows, "repeated": one.same, "withoutKeyOrTime": one.without}
    return {"feast": one.theirs, "view": one.name, "revision": one.revision, "rows": counts, "notes": list(one.notes)}
