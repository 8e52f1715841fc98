"""``slipway alias …``: aliases moved by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cli import complete
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.history import as_json
from slipway.cli.models import ModelArgument
from slipway.cli.options import Document, DocumentOption, ReasonOption, with_session
from slipway.cli.output import emit, moment, say, table
from slipway.cli.session import Session, login
from slipway.registry.aliases import ANY, Expected
from slipway.registry.names import ModelName, check_alias, parse_version
from slipway.registry.records import AliasMove

AliasArgument = Annotated[str, typer.Argument(metavar="NAME@ALIAS", help="An alias of a model.", autocompletion=complete.refs)]
ExpectedOption = Annotated[
    int | None,
    typer.Option("--expected", min=0, metavar="N", help="Only if it points at this version now (0: at none); else exit code 4."),
]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def alias() -> None:
    """List, set and take away aliases of models."""


@app.command("list")
@with_session
def list_aliases(session: Session, name: ModelArgument, form: DocumentOption = Document.TABLE) -> None:
    """List the aliases of a model and the versions they point at."""
    model = session.model(name)
    moves = session.registry.aliases(model)
    if not moves:
        session.registry.resolve(str(model))  # raises for a model that is not there
    if form is Document.TABLE:
        rows = [[a, str(move.version), moment(move.at), move.by, move.reason or "-"] for a, move in sorted(moves.items())]
        table(["ALIAS", "VERSION", "SINCE", "BY", "REASON"], rows)
    else:
        emit([as_json(move, named=True) for _, move in sorted(moves.items())], form)


@app.command("set")
@with_session
def set_alias(
    session: Session,
    alias: AliasArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to point at, as 7 or NAME:7.")],
    reason: ReasonOption = "",
    expected: ExpectedOption = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Point an alias at a version. Deployments that follow it roll over within seconds."""
    model, word = _parse(session, alias)
    number = _version(session, model, version)
    move = session.registry.move_alias(model, word, number, by=login(), reason=reason, expected=_expected(expected))
    _report(move, form)


@app.command("remove")
@with_session
def remove_alias(
    session: Session,
    alias: AliasArgument,
    reason: ReasonOption = "",
    expected: ExpectedOption = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Take an alias away. Its history stays; deployments that follow it keep what they serve."""
    model, word = _parse(session, alias)
    if session.registry.alias(model, word) is None:
        session.registry.resolve(f"{model}@{word}")  # raises for an alias that never was
    move = session.registry.move_alias(model, word, None, by=login(), reason=reason, expected=_expected(expected))
    _report(move, form)


def moved(move: AliasMove) -> str:
    """What a move did, in a sentence."""
    name = f"{move.model}@{move.alias}"
    there = f"version {move.version}" if move.version is not None else "taken away"
    if not move.changed:
        return f"{name} is {there} already, nothing to do"
    if move.version is None:
        return f"{name} is taken away (was version {move.previous})"
    return f"{name} is {there} now" + (f" (was version {move.previous})" if move.previous is not None else " (was not set)")


def _report(move: AliasMove, form: Document) -> None:
    if form is Document.TABLE:
        say(moved(move))
    else:
        emit({"model": move.model, **as_json(move, named=True), "changed": move.changed}, form)


def _version(session: Session, model: ModelName, text: str) -> int:
    if ":" not in text:
        return parse_version(text, model.model)
    ref = session.ref(text)
    if ref.name != model or ref.version is None:
        raise CliError(f"{text[:80]!r} is no version of {model}: write {model.model}:7, or 7 alone", ExitCode.USAGE)
    return ref.version


def _parse(session: Session, text: str) -> tuple[ModelName, str]:
    ref = session.ref(text)
    if ref.alias is None:
        raise CliError(f"{text[:80]!r} names no alias: write NAME@ALIAS, for example {ref.name.model}@champion", ExitCode.USAGE)
    return ref.name, check_alias(ref.alias)


def _expected(number: int | None) -> int | Expected | None:
    if number is None:
        return ANY
    return number or None
