"""``slipway import …``: models from other registries, features from Feast."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from slipway.cli.attesting import SigningKeyOption, attest_with
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.importing_feast import feast
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, note, say
from slipway.cli.session import Session, login
from slipway.importers.errors import ImportFailed
from slipway.importers.mlflow import Imported, MlflowImport, Outcome
from slipway.importers.mlflow_server import Auth, MlflowServer
from slipway.provenance.names import IMPORT_TYPE
from slipway.settings import environment

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def importing() -> None:
    """Bring models from MLflow, features from Feast."""


app.command("feast")(feast)


@app.command("mlflow")
@with_session
def mlflow(
    session: Session,
    uri: Annotated[str, typer.Argument(metavar="URI", help="The MLflow server, http://host:5000.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="Only this model, by MLflow's name; repeatable.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="THEIRS=OURS", help="Our name for a model; repeatable.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Keep versions that are pickles, as files; nothing here loads them.")
    ] = False,
    signing_key: SigningKeyOption = None,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Import models from an MLflow server.

    Versions in their order with metrics, parameters, tags and aliases. ONNX and skops models are taken as they are, told by
    content. Pickles are refused. What was imported before is found and not
    taken twice, so that an import may be run again. Credentials as MLflow takes them: MLFLOW_TRACKING_TOKEN, or
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
    """
    try:
        with MlflowServer(uri, Auth.of(environment())) as server:
            work = MlflowImport(
                server,
                session.registry,
                session.namespace,
                login(),
                allow_pickle=allow_pickle,
                rename=_renamed(name),
                attest=attest_with(session.registry.blobs, IMPORT_TYPE, signing_key),
                tell=_tell if form is Document.TABLE else lambda _outcome: None,
            )
            done = work.all(model or ())
    except ImportFailed as error:
        raise CliError(str(error)) from error
    _answer(done, form)
    if any(outcome.version is None and not outcome.refused for outcome in done.versions):
        sys.exit(ExitCode.FAILED)


def _renamed(given: list[str] | None) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in given or ()]
    for theirs, equals, ours in pairs:
        if not (theirs and equals and ours):
            raise CliError("--name: write --name 'Their Name=our-name'", ExitCode.USAGE)
    return {theirs: ours for theirs, _, ours in pairs}


def _tell(outcome: Outcome) -> None:
    theirs = f"{outcome.name} version {outcome.number}"
    if outcome.version is None:
        note(f"{theirs}: {'refused' if outcome.refused else 'not imported'}: {outcome.why}")
    else:
        say(f"{theirs} is {outcome.model}:{outcome.version}{' (imported before)' if outcome.found else ''}")


def _answer(done: Imported, form: Document) -> None:
    if form is not Document.TABLE:
        emit({"versions": [_plain(one) for one in done.versions], "aliases": dict(done.aliases), "notes": list(done.notes)}, form)
        return
    for alias, version in done.aliases:
        say(f"{alias} is version {version}")
    for text in done.notes:
        note(text)
    taken = [one for one in done.versions if one.version is not None]
    say(f"{len(taken)} of {len(done.versions)} versions, {len(done.aliases)} aliases")


def _plain(one: Outcome) -> dict[str, Any]:
    known = {"name": one.name, "number": one.number, "model": one.model, "version": one.version, "found": one.found}
    return known | ({"refused": one.refused, "why": one.why} if one.version is None else {})
