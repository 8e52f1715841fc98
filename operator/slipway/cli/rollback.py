"""``slipway rollback``: back to the version before."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from slipway.cli import complete
from slipway.cli.alias import moved
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import ReasonOption, with_session
from slipway.cli.output import note, say
from slipway.cli.session import Session
from slipway.kube.port import Object
from slipway.kube.resources import MODEL_DEPLOYMENT
from slipway.registry.errors import UnknownAlias
from slipway.registry.names import LATEST

FIELD_MANAGER = "slipway-cli-rollback"

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A ModelDeployment.", autocompletion=complete.deployments)]
ToOption = Annotated[
    int | None, typer.Option("--to", min=1, metavar="N", help="The version to go to. Default: the one before the present one.")
]


@with_session
def rollback(session: Session, name: NameArgument, to: ToOption = None, reason: ReasonOption = "") -> None:
    """Take a ModelDeployment back to the version it served before, or to version N.

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
    target = to if to is not None else present.previous
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
    if target == present:
        say(f"{name} is at version {present} already, nothing to do")
        return
    if session.has_registry:
        session.registry.get("/".join(deployment.model_name()), target)  # raises for a version that is not there
    session.cluster.change(found, {"spec": {"model": {"version": target}}}, field_manager=FIELD_MANAGER)
    say(f"spec.model.version of ModelDeployment {name} is {target} now (was {present})")
    note("If Git or Argo CD keeps this resource, change it there too, or the next sync sets it back.")


def _served_before(session: Session, deployment: ModelDeployment, present: int | None) -> int:
    """By status; for a resource that was made anew, by the registry."""
    served = [entry.version for entry in (deployment.status or ModelDeploymentStatus()).history]
    if session.has_registry and all(version == present for version in served):
        meta, model = deployment.metadata, "/".join(deployment.model_name())
        found = session.registry.rollouts(meta.namespace, meta.name)
        served += [record.version for record in found if record.outcome == "Served" and record.model == model]
    for version in served:
        if version != present:
            return version
    raise CliError(
        f"ModelDeployment {deployment.metadata.name} has served no other version: name one with --to N", ExitCode.FAILED
    )
