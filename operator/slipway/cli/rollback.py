"""``slipway rollback``: back to the version before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus, Revision, Served
from slipway.cli import complete
from slipway.cli.alias import moved
from slipway.cli.errors import CliError
from slipway.cli.options import ReasonOption, with_session
from slipway.cli.output import note, say
from slipway.cli.session import Session
from slipway.kube.port import Object
from slipway.kube.resources import MODEL_DEPLOYMENT
from slipway.registry.errors import NotInRegistry, UnknownAlias
from slipway.registry.names import LATEST
from slipway.registry.records import RolloutRecord

FIELD_MANAGER = "slipway-cli-rollback"

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A ModelDeployment.", autocompletion=complete.deployments)]
ToOption = Annotated[
    int | None, typer.Option("--to", min=1, metavar="N", help="The version to go to. Default: the one before the present one.")
]


@with_session
def rollback(session: Session, name: NameArgument, to: ToOption = None, reason: ReasonOption = "") -> None:
    """Take a ModelDeployment back to the version it served before, or to version N.

    Versions that were given up are passed over. What served is known from status, and from the registry when the
    resource or the cluster is new.

    When it follows an alias, the alias is moved in the registry, for everybody who follows it, and the move is recorded.
    When it names a version, spec.model.version is changed.
    """
    found = session.cluster.require(MODEL_DEPLOYMENT, session.namespace, name)
    deployment = ModelDeployment.parse(found)
    if deployment.spec.model.version is not None:
        _change_version(session, found, deployment, to)
    elif deployment.spec.model.alias == LATEST:
        raise CliError(
            f"ModelDeployment {name} follows {LATEST}, which cannot be moved: set spec.model.version, or follow an alias"
        )
    else:
        _move_alias(session, deployment, to, reason)


def _move_alias(session: Session, deployment: ModelDeployment, to: int | None, reason: str) -> None:
    model = "/".join(deployment.model_name())
    alias = deployment.spec.model.alias or ""
    registry = session.registry
    present = registry.alias(model, alias)
    if present is None:
        registry.resolve(f"{model}@{alias}")  # raises: there is no such model, or no such alias
        raise UnknownAlias(f"{model} has no alias {alias}")
    target = to if to is not None else _served_before(session, deployment, present.version) or present.previous
    if target is None:
        raise CliError(
            f"{model}@{alias} was never at another version than {present.version}: name one with --to N "
            f"(slipway model versions {model} lists them)"
        )
    why = reason or f"slipway rollback of ModelDeployment {deployment.metadata.namespace}/{deployment.metadata.name}"
    move = registry.move_alias(model, alias, target, by=session.person(), reason=why, expected=present.version)
    say(moved(move))
    if move.changed:
        note(f"All that follow {model}@{alias} roll over to version {target} (slipway status {deployment.metadata.name}).")


def _change_version(session: Session, found: Object, deployment: ModelDeployment, to: int | None) -> None:
    name, present = deployment.metadata.name, deployment.spec.model.version
    target = to if to is not None else _served_before(session, deployment, present)
    if target is None:
        raise CliError(f"ModelDeployment {name} has served no other version: name one with --to N")
    if target == present:
        say(f"{name} is at version {present} already, nothing to do")
        return
    if session.has_registry:
        session.registry.get("/".join(deployment.model_name()), target)  # raises for a version that is not there
    session.cluster.change(found, {"spec": {"model": {"version": target}}}, field_manager=FIELD_MANAGER)
    say(f"spec.model.version of ModelDeployment {name} is {target} now (was {present})")
    note("If Git or Argo CD keeps this resource, change it there too, or the next sync sets it back.")


def _served_before(session: Session, deployment: ModelDeployment, present: int | None) -> int | None:
    """The last version that served and was not given up, other than the present one: what serves still, while the present one is
    tried or held. By status; for a resource that was made anew, by the registry."""
    status, model = deployment.status or ModelDeploymentStatus(), "/".join(deployment.model_name())
    entries = [entry for entry in (status.stable, *(e for e in status.history if e.reason is None)) if entry is not None]
    for entry in entries:
        if entry.version != present and _is_of(session, model, entry):
            return entry.version
    if not session.has_registry:
        return None
    meta = deployment.metadata
    return next((v for v in kept(session.registry.rollouts(meta.namespace, meta.name), model) if v != present), None)


def _is_of(session: Session, model: str, entry: Revision | Served) -> bool:
    """Whether this is what the model has under that number: status may tell of the model that spec named before."""
    if not session.has_registry:
        return True
    try:
        return session.registry.get(model, entry.version).digest == entry.digest
    except NotInRegistry:
        return False


def kept(records: Iterable[RolloutRecord], model: str) -> list[int]:
    """Versions of `model` that served and were not given up since, newest first. `records`: newest first."""
    newest: dict[str, RolloutRecord] = {}
    for record in records:
        newest.setdefault(record.revision, record)
    return [record.version for record in newest.values() if record.outcome == "Served" and record.model == model]
