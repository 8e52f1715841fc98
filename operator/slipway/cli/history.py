"""``slipway history``: where an alias pointed, who moved it when and why, and who refused that it be moved."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from slipway.cli import complete
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, moment, note, table
from slipway.cli.session import Session
from slipway.registry.aliases import Aliases
from slipway.registry.records import AliasMove, Refusal

Argument = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@ALIAS]",
        help="An alias of a model; NAME alone shows all aliases.",
        autocompletion=complete.refs,
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Only moves up to this time, as 2026-11-03T12:00Z: the first was in force then."),
]
RefusalsOption = Annotated[
    bool, typer.Option("--refusals", help="Refused promotions too, in -o json and yaml; the table always shows them.")
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="How many moves of an alias at most.")]


@with_session
def history(
    session: Session,
    name: Argument,
    at: AtOption = None,
    limit: LimitOption = None,
    refusals: RefusalsOption = False,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Show where an alias pointed, newest move first: from what to what, when, by whom, why; and promotions to it that were
    refused, or that nobody approved in time."""
    ref = session.ref(name)
    if ref.version is not None:
        raise CliError(f"{name[:80]!r}: versions never move; write {ref.name.model}@ALIAS for an alias's history", ExitCode.USAGE)
    time = parse_time(at) if at else None
    registry = session.registry
    known = {*Aliases(registry.store, ref.name).names(), *registry.refused_aliases(ref.name)} if not ref.alias else {ref.alias}
    aliases = sorted(known)
    moves = [move for alias in aliases for move in registry.history(ref.name, alias, at=time, limit=limit)]
    refused: list[Refusal] = []
    if refusals or form is Document.TABLE:
        all_refused = [one for alias in aliases for one in registry.refusals(ref.name, alias)]
        refused = [one for one in all_refused if time is None or one.at <= time][:limit]
    if not moves and not refused and (ref.alias is None or registry.alias(ref.name, ref.alias) is None):
        registry.resolve(ref)  # raises for a model or alias that is not there, with names that look like it
    if form is not Document.TABLE:
        entries: list[AliasMove | Refusal] = [*moves, *refused]
        emit([as_json(entry, named=ref.alias is None) for entry in _sorted(entries, aliases)], form)
        return
    if not moves and not refused:
        note(f"{ref} was not set{f' by {moment(time)}' if time else ''}.")
        return
    _table(_sorted([*moves, *refused], aliases), named=ref.alias is None)


def _sorted(entries: Iterable[AliasMove | Refusal], aliases: list[str]) -> list[AliasMove | Refusal]:
    """By alias, and then the newest first. Of two at one time a move comes first, as it was before them."""
    newest = sorted(entries, key=lambda entry: (entry.at, isinstance(entry, AliasMove)), reverse=True)
    return sorted(newest, key=lambda entry: aliases.index(entry.alias))


def as_json(move: AliasMove | Refusal, *, named: bool) -> dict[str, Any]:
    """A move, or a refusal, as scripts read it; with `named`, the alias too."""
    alias = {"alias": move.alias} if named else {}
    if isinstance(move, Refusal):
        at = move.at.isoformat().replace("+00:00", "Z")
        outcome = "expired" if move.expired else "refused"
        return {**alias, "version": move.version, "outcome": outcome, "at": at, "by": move.by, "reason": move.reason}
    return {
        **alias,
        "version": move.version,
        "previous": move.previous,
        "at": move.at.isoformat().replace("+00:00", "Z"),
        "by": move.by,
        "reason": move.reason,
    }


def parse_time(text: str) -> datetime:
    """A time with its zone. Raises CliError, which shows the form."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise CliError(f"--at {text[:80]!r}: not a time; write it as 2026-11-03T12:00Z", ExitCode.USAGE) from error
    if time.tzinfo is None:
        raise CliError(f"--at {text}: which time zone? Add Z for UTC, or an offset as +01:00", ExitCode.USAGE)
    return time


def _table(moves: list[AliasMove | Refusal], *, named: bool) -> None:
    rows = []
    for move in moves:
        if isinstance(move, Refusal):
            arrow = f"{move.version} {'not approved in time' if move.expired else 'refused'}"
        else:
            arrow = f"{move.previous or '-'} → {move.version or 'taken away'}"
        row = [moment(move.at), arrow, move.by, move.reason or "-"]
        rows.append([move.alias, *row] if named else row)
    headers = ["AT", "VERSION", "BY", "REASON"]
    table(["ALIAS", *headers] if named else headers, rows)
