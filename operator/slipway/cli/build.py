"""``slipway build`` and ``slipway rebuild``: a build started by hand, and watched to its end."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

import typer

from slipway.api.app_build import AppBuild
from slipway.api.common import ANNOTATION_REBUILD
from slipway.api.conditions import INVALID_PARAMS, INVALID_SPEC, READY, REQUIREMENTS_INVALID, RETRYING, STALLED, Condition, find
from slipway.api.model_build import ModelBuild
from slipway.cli import complete
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.logs import build_log
from slipway.cli.options import with_session
from slipway.cli.output import duration, note, say, short_image
from slipway.cli.session import Session
from slipway.kube.port import Object, Resource, Unavailable
from slipway.kube.resources import APP_BUILD, MODEL_BUILD

FIELD_MANAGER = "slipway-cli-build"
POLL_SECONDS = 1.0
SILENCE_SECONDS = 15.0
"""How long the operator may take to notice before we ask whether it runs."""
TAIL_LINES = 20
NOBODY = "The operator has not noticed yet: is it running? (kubectl get pods -A -l app.kubernetes.io/name=slipway)"
REFUSALS = frozenset({INVALID_SPEC, INVALID_PARAMS, REQUIREMENTS_INVALID})
"""Reasons that only a new spec removes."""

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A ModelBuild; with --app, an AppBuild.", autocompletion=complete.builds)
]
AppOption = Annotated[bool, typer.Option("--app", help="NAME is an AppBuild.")]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Follow the build to its end; exit code 1 when it fails.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=1, metavar="SECONDS", help="With --wait: how long at most.")]


@with_session
def build(
    session: Session, name: NameArgument, app: AppOption = False, wait: WaitOption = False, timeout: TimeoutOption = 3600
) -> None:
    """Start a build now, though nothing changed: train again, or package again.

    Writes the annotation slipway.dev/rebuild and leaves spec alone, so that Git and the cluster stay equal.
    """
    resource = APP_BUILD if app else MODEL_BUILD
    found = session.cluster.require(resource, session.namespace, name)
    kind = (AppBuild if app else ModelBuild).parse(found)
    if kind.spec.suspend:
        raise CliError(f"{resource.kind} {name} is suspended: set spec.suspend to false first")
    token = f"{session.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    session.cluster.annotate(found, ANNOTATION_REBUILD, token, field_manager=FIELD_MANAGER)
    name = kind.metadata.name
    if not wait:
        say(f"a build of {resource.kind} {name} is asked for (slipway status {name})")
        return
    note(f"A build of {resource.kind} {name} is asked for.")
    _follow(session, Target(resource, session.namespace, name, token), timeout)


@dataclass(frozen=True)
class Target:
    """The build that was asked for."""

    resource: Resource
    namespace: str
    name: str
    token: str

    @property
    def kind(self) -> str:
        return self.resource.kind


@dataclass(frozen=True)
class Seen:
    """How far a build is. `noticed`: the operator took up the wish. `ended`: True well, False not, None not yet.
    `obstacle`: what stands in the way of a wish that was not taken up, in words."""

    line: str
    noticed: bool = True
    ended: bool | None = None
    result: str = ""
    obstacle: str = ""


def look(obj: Object, token: str) -> Seen:
    """How far the build is that `token` asked for."""
    resource = (AppBuild if obj["kind"] == APP_BUILD.kind else ModelBuild).parse(obj)
    status = resource.status
    conditions = status.conditions if status else ()
    ready, stalled = find(conditions, READY), find(conditions, STALLED)
    run = status.build if status else None
    if run is None or token not in (run.rebuild or "").split("/"):
        if resource.spec.suspend:
            return Seen("suspended", ended=False, result="spec.suspend is true: no build is started")
        # A spec that cannot be built is refused before its build has a name, so the word never reaches status.
        if stalled is not None and stalled.reason in REFUSALS and stalled.observed_generation == resource.metadata.generation:
            return Seen(_words(stalled), ended=False, result=_words(stalled))
        bad = ready is not None and ready.status != "True" and (run is None or run.outcome != "Running")
        return Seen("waiting for the operator", noticed=False, obstacle=_words(ready) if bad and ready else "")
    attempt = f"attempt {run.attempt}, " if (run.attempt or 0) > 1 else ""
    if ready is None or run.outcome == "Running":
        return Seen(attempt + (_words(ready) if ready else "running"))
    if stalled is not None:
        return Seen(_words(stalled), ended=False, result=_words(stalled))
    if run.outcome == "Failed" and run.retry_after is None and ready.reason != RETRYING:
        return Seen(_words(ready), ended=False, result=_words(ready))
    if ready.status == "True":
        return Seen(_words(ready), ended=True, result=_result(resource))
    return Seen(attempt + _words(ready))


def _words(condition: Condition) -> str:
    return f"{condition.reason}: {condition.message}" if condition.message else condition.reason


def _result(resource: ModelBuild | AppBuild) -> str:
    """What a finished build gave, in words."""
    if isinstance(resource, AppBuild):
        return short_image(resource.status.image or "") if resource.status else ""
    version = resource.status.version if resource.status else None
    if version is None:
        return ""
    metrics = ", ".join(f"{name} {value}" for name, value in list(version.metrics.items())[:5])
    return f"{resource.model}:{version.number}" + (f" ({metrics})" if metrics else "")


def _follow(session: Session, target: Target, timeout: float) -> None:
    """Shows each change until the build has ended. Raises CliError when it failed, vanished, or takes too long."""
    started = session.seconds()
    last, asked = "", False
    while True:
        seen = _poll(session, target)
        past = session.seconds() - started
        if seen.line != last:
            note(f"{duration(past):>6}  {seen.line}")
            last = seen.line
        if seen.ended is True:
            say(f"{seen.result or target.name} is done after {duration(past)}")
            return
        if seen.ended is False:
            _tail(session, target)
            raise CliError(f"{target.kind} {target.name}: {seen.result}")
        if not seen.noticed and not asked and past > SILENCE_SECONDS:
            note(f"        {seen.obstacle or NOBODY}")
            asked = True
        if past > timeout:
            state = f" ({seen.obstacle})" if seen.obstacle else ""
            raise CliError(
                f"{target.kind} {target.name} is not done after {duration(timeout)}{state}; "
                f"it goes on without us: slipway status {target.name}"
            )
        session.pause(POLL_SECONDS)


def _poll(session: Session, target: Target) -> Seen:
    try:
        found = session.cluster.get(target.resource, target.namespace, target.name)
    except Unavailable as error:
        return Seen(f"no answer, trying again: {error}")
    if found is None:
        raise CliError(f"{target.kind} {target.name} was deleted meanwhile", ExitCode.NOT_FOUND)
    return look(found, target.token)


def _tail(session: Session, target: Target) -> None:
    """The end of the failed attempt's log, where one can be had."""
    try:
        log = build_log(session, target.kind, target.namespace, target.name)
    except Exception as error:  # the failure itself must still be told
        note(f"        (its log cannot be had: {error})")
        return
    lines = log.decode(errors="replace").splitlines()[-TAIL_LINES:]
    if lines:
        note(f"        the last {len(lines)} lines of its log:")
        for line in lines:
            note(f"        | {line}")
