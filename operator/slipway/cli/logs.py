"""``slipway logs``: what training code, or the making of an image, printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.api.app_build import AppBuild, AppBuildRun
from slipway.api.common import LABEL_ATTEMPT, LABEL_BUILD, LABEL_KIND, LABEL_NAME
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import Build
from slipway.cli import complete
from slipway.cli.cluster import KINDS
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import with_session
from slipway.cli.output import note
from slipway.cli.session import Session
from slipway.controllers.shared.objects import label_value, short
from slipway.kube.port import Kube, Object, Resource, Unavailable
from slipway.kube.resources import APP_BUILD, MODEL_BUILD, POD
from slipway.registry.errors import UnknownModel
from slipway.registry.records import FileEntry, JobResult

if TYPE_CHECKING:
    from slipway.registry.registry import Registry

TAIL_BYTES = 16 << 20
"""As much of a running pod's log as is asked for at once; the whole of it is kept as an artifact in the end."""
POLL_SECONDS = 1.0

WhatArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@ALIAS|:VERSION]|modelbuild/NAME|appbuild/NAME",
        help="A version of a model, or a build: the one that runs, else the last one.",
        autocompletion=complete.logs,
    ),
]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the build ends.")]


@with_session
def logs(session: Session, what: WhatArgument, follow: FollowOption = False) -> None:
    """Print the log of the training that gave a version, or of a build, also of one that failed or still runs."""
    resource, namespace, name = _build_of(session, what)
    if resource is None:
        if follow:
            raise CliError(f"{what[:80]!r}: a version's log is complete; -f is for modelbuild/NAME", ExitCode.USAGE)
        _write(_version_log(session, what))
    elif follow:
        for piece in _following(session, resource, namespace, name):
            _write(piece)
    else:
        _write(build_log(session, resource.kind, namespace, name))


def build_log(session: Session, kind: str, namespace: str, name: str) -> bytes:
    """The log of a resource's current or last attempt: from its pod while it runs, from the registry afterwards. Raises
    CliError when there is none."""
    run = _run(session.cluster.require(_resource(kind), namespace, name))
    stored = None if run.outcome == "Running" else _stored(session, run)
    if stored is not None:
        return stored
    live = _live(session, kind, namespace, name, run)
    if live is None:
        live = _stored(session, run)
    if live is not None:
        return live
    waiting = "; its pod has not started" if run.outcome == "Running" else ""
    needs = "" if session.has_registry else "; the log that was kept is in the registry: add --registry or set SLIPWAY_REGISTRY"
    raise CliError(f"{kind} {name}: attempt {run.attempt} has no log{waiting}{needs}", ExitCode.NOT_FOUND)


def new_part(before: bytes, now: bytes) -> bytes:
    """What `now`, the end of a growing log, holds beyond `before`, an earlier end of the same log."""
    if now.startswith(before):
        return now[len(before) :]
    mark = before[-4096:]
    found = now.rfind(mark)
    return now[found + len(mark) :] if found >= 0 else now


def _build_of(session: Session, what: str) -> tuple[Resource | None, str, str]:
    """The build that ``kind/name`` means; no resource when a version is meant."""
    kind, slash, name = what.partition("/")
    resource = KINDS.get(kind.lower()) if slash else None
    if resource is None:
        return None, "", ""
    if resource not in (MODEL_BUILD, APP_BUILD):
        raise CliError(f"{what[:80]!r}: only builds have a log here; kubectl logs shows that of a serving pod", ExitCode.USAGE)
    if not name:
        raise CliError(f"{what[:80]!r}: write {kind}/NAME", ExitCode.USAGE)
    return resource, session.namespace, name


def _version_log(session: Session, what: str) -> bytes:
    ref = session.ref(what)
    try:
        record = session.registry.resolve(ref)
    except UnknownModel as error:
        raise CliError(
            f"{error} For a build that gave no version: slipway logs modelbuild/{ref.name.model}", ExitCode.NOT_FOUND
        ) from error
    if not record.logs:
        raise CliError(f"{record.model}:{record.version} has no log: it was registered by {record.builder}", ExitCode.NOT_FOUND)
    return _join(session.registry, record.logs)


def _join(registry: Registry, logs: tuple[FileEntry, ...]) -> bytes:
    """The logs one after the other; with their names when there are several."""
    parts = []
    for entry in logs:
        header = f"==> {entry.path} <==\n".encode() if len(logs) > 1 else b""
        parts.append(header + registry.blobs.read(entry.digest))
    return b"\n".join(parts)


def _resource(kind: str) -> Resource:
    return APP_BUILD if kind == APP_BUILD.kind else MODEL_BUILD


def _run(found: Object) -> Build | AppBuildRun:
    """The current or last build of a resource. Raises CliError when there is none."""
    build = (AppBuild if found["kind"] == APP_BUILD.kind else ModelBuild).parse(found)
    run = build.status.build if build.status else None
    if run is None:
        name = build.metadata.name
        raise CliError(f"{found['kind']} {name} has not been built yet: slipway status {name} says why", ExitCode.NOT_FOUND)
    return run


def _stored(session: Session, run: Build | AppBuildRun) -> bytes | None:
    """The log that the attempt left in the registry; None when it left none, or when no registry is named."""
    if not session.has_registry:
        return None
    result = session.registry.read_result(run.id, max(1, run.attempt or 1), JobResult)
    return _join(session.registry, result.logs) if result is not None and result.logs else None


def _live(session: Session, kind: str, namespace: str, name: str, run: Build | AppBuildRun) -> bytes | None:
    """The log of the attempt's pod: of each of its containers that has begun, one after the other."""
    wanted = {
        LABEL_KIND: kind,
        LABEL_NAME: label_value(name),
        LABEL_BUILD: short(run.id),
        LABEL_ATTEMPT: str(run.attempt or 1),
    }

    async def read(kube: Kube) -> bytes | None:
        pods = await kube.list(POD, namespace, wanted)
        pod = max(pods, key=lambda p: str(p["metadata"].get("creationTimestamp", "")), default=None)
        if pod is None:
            return None
        spec: dict[str, Any] = pod.get("spec", {})
        containers = [c["name"] for c in (*spec.get("initContainers", ()), *spec.get("containers", ()))]
        found = [
            log
            for container in containers
            if (log := await kube.pod_log(namespace, pod["metadata"]["name"], container, tail_bytes=TAIL_BYTES))
        ]
        return b"".join(found) if found else None

    return session.cluster.run(read)


def _following(session: Session, resource: Resource, namespace: str, name: str) -> Iterator[bytes]:
    """The log piece by piece, until the attempt has ended."""
    shown = b""
    told = False
    while True:
        try:
            run = _run(session.cluster.require(resource, namespace, name))
            running = run.outcome == "Running"
            log = _live(session, resource.kind, namespace, name, run) or (None if running else _stored(session, run))
        except Unavailable as error:
            note(f"no answer, trying again: {error}")
            running, log = True, None
        if log is not None:
            yield new_part(shown, log)
            shown = log
        elif not told and running:
            note("waiting for the pod to start")
            told = True
        if not running:
            return
        session.pause(POLL_SECONDS)


def _write(log: bytes) -> None:
    if hasattr(sys.stdout, "buffer"):
        sys.stdout.flush()
        sys.stdout.buffer.write(log)
        sys.stdout.buffer.flush()
    else:
        sys.stdout.write(log.decode(errors="replace"))
