"""``slipway rollout …``: how a roll-out stands, and what a person wants of it."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.api.common import format_time
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from slipway.api.rollout import ANNOTATION_ROLLOUT, Action, Order, seconds_of
from slipway.cli import complete
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import Document, DocumentOption, ReasonOption, with_session
from slipway.cli.output import console, emit, note, say, table
from slipway.cli.rollout_history import HEADERS, past, rows
from slipway.cli.rollout_history import as_json as record_as_json
from slipway.cli.rollout_view import Outcome, as_json, line, outcome, tree
from slipway.cli.session import Session
from slipway.kube.port import Object, Unavailable
from slipway.kube.resources import MODEL_DEPLOYMENT

FIELD_MANAGER = "slipway-cli-rollout"
POLL_SECONDS = 1.0
MAX_REASON = 1024

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A ModelDeployment.", autocompletion=complete.deployments)]
TimeoutOption = Annotated[str, typer.Option("--timeout", metavar="TIME", help="How long to wait at most, as 10m or 1h30m.")]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, metavar="N", help="The version that is expected to serve in the end.")
]
FullOption = Annotated[bool, typer.Option("--full", help="All steps that are left, not only the next one.")]

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def rollout() -> None:
    """Show, watch and steer the roll-out of a ModelDeployment."""


@app.command()
@with_session
def status(session: Session, name: NameArgument, form: DocumentOption = Document.TABLE) -> None:
    """Show revisions, weights, steps and gates."""
    deployment = _read(session, name)
    if form is not Document.TABLE:
        emit(as_json(deployment), form)
        return
    console().print(tree(deployment, session.now()))


@app.command()
@with_session
def watch(session: Session, name: NameArgument, version: VersionOption = None, timeout: TimeoutOption = "1h") -> None:
    """Watch until the roll-out has ended.

    Exit code 0 when the version serves, 1 when it was taken back or time is up. On a terminal a live tree; otherwise one line for each change, as in a CI job.
    """
    try:
        limit = session.seconds() + seconds_of(timeout)
    except ValueError as error:
        raise CliError(f"--timeout: {error}", ExitCode.USAGE) from error
    found = _follow(session, name, version, limit)
    if found is None:
        raise CliError(f"the roll-out of {name} has not ended within {timeout}: slipway rollout status {name}")
    ended = found.status or ModelDeploymentStatus()
    if outcome(found, version) is Outcome.FAILED:
        words = ended.held.message if ended.held else "see slipway rollout status"
        number = f"version {ended.held.version} is held" if ended.held else "it needs a person"
        raise CliError(f"{name}: {number}: {words}")
    say(f"{name}: version {ended.stable.version if ended.stable else '?'} serves")


def _follow(session: Session, name: str, version: int | None, limit: float) -> ModelDeployment | None:
    """Shows how it goes; None when time is up."""
    from rich.live import Live

    terminal = console()
    last = ""
    live = Live(console=terminal, auto_refresh=False, transient=False) if terminal.is_terminal else None
    if live is not None:
        live.start()
    try:
        while True:
            try:
                deployment = _read(session, name)
            except Unavailable as error:
                note(f"no answer, trying again: {error}")
            else:
                if live is not None:
                    live.update(tree(deployment, session.now()), refresh=True)
                elif (words := line(deployment)) != last:
                    say(words)
                    last = words
                if outcome(deployment, version) is not Outcome.UNDER_WAY:
                    return deployment
            if session.seconds() >= limit:
                return None
            session.pause(POLL_SECONDS)
    finally:
        if live is not None:
            live.stop()


@app.command()
@with_session
def history(session: Session, name: NameArgument, form: DocumentOption = Document.TABLE) -> None:
    """Show what served and what was given up, newest first. The registry remembers it when the cluster does not."""
    records = past(session, name)
    if form is not Document.TABLE:
        emit([record_as_json(record) for record in records], form)
    elif not records:
        note(f"{name} has served nothing yet.")
    else:
        table(HEADERS, rows(records))


@app.command()
@with_session
def promote(session: Session, name: NameArgument, full: FullOption = False, reason: ReasonOption = "") -> None:
    """Let the next step begin now, or with --full all that are left. A failed gate still takes the candidate back."""
    found, deployment = _candidate(session, name)
    candidate = (deployment.status or ModelDeploymentStatus()).candidate
    assert candidate is not None
    step = None if full else (0 if candidate.step is None else candidate.step + 1)
    _order(session, found, "promote", candidate.revision, format_time(candidate.since) if candidate.since else None, reason, step)
    say(f"{name}: version {candidate.version} goes on" + (" through all steps" if full else f" to step {(step or 0) + 1}"))


@app.command()
@with_session
def abort(session: Session, name: NameArgument, reason: ReasonOption = "") -> None:
    """Take the candidate back.

    It is held until the spec or the version changes, or retry is said.
    """
    _steer(session, name, "abort", reason, "is taken back")


@app.command()
@with_session
def pause(session: Session, name: NameArgument, reason: ReasonOption = "") -> None:
    """Begin no further step. Gates are looked at meanwhile."""
    _steer(session, name, "pause", reason, "is paused")


@app.command()
@with_session
def resume(session: Session, name: NameArgument, reason: ReasonOption = "") -> None:
    """Go on after a pause."""
    _steer(session, name, "resume", reason, "goes on")


@app.command()
@with_session
def retry(session: Session, name: NameArgument, reason: ReasonOption = "") -> None:
    """Try the version that is held again."""
    found = session.cluster.require(MODEL_DEPLOYMENT, session.namespace, name)
    deployment = ModelDeployment.parse(found)
    held = deployment.status.held if deployment.status else None
    if held is None or held.since is None:
        raise CliError(f"ModelDeployment {name} holds no version: there is nothing to try again")
    _order(session, found, "retry", held.revision, format_time(held.since), reason)
    say(f"{name}: version {held.version} is tried again (slipway rollout watch {name})")


def _read(session: Session, name: str) -> ModelDeployment:
    return ModelDeployment.parse(session.cluster.require(MODEL_DEPLOYMENT, session.namespace, name))


def _candidate(session: Session, name: str) -> tuple[Object, ModelDeployment]:
    """Raises CliError when no roll-out is under way."""
    found = session.cluster.require(MODEL_DEPLOYMENT, session.namespace, name)
    deployment = ModelDeployment.parse(found)
    if deployment.status is None or deployment.status.candidate is None:
        raise CliError(f"ModelDeployment {name} has no candidate: no roll-out is under way (slipway rollout status {name})")
    return found, deployment


def _steer(session: Session, name: str, action: Action, reason: str, words: str) -> None:
    found, deployment = _candidate(session, name)
    candidate = deployment.status.candidate if deployment.status else None
    assert candidate is not None
    _order(session, found, action, candidate.revision, format_time(candidate.since) if candidate.since else None, reason)
    say(f"{name}: version {candidate.version} {words}")


def _order(
    session: Session, found: Object, action: Action, revision: str, since: str | None, reason: str, step: int | None = None
) -> None:
    order = Order(action=action, revision=revision, step=step, since=since, by=session.person(), reason=reason[:MAX_REASON])
    session.cluster.annotate(found, ANNOTATION_ROLLOUT, order.to_annotation(), field_manager=FIELD_MANAGER)
