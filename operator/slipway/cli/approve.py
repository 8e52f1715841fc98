"""``slipway approve``: a person decides that a version is promoted or is not, or that a step of its roll-out begins."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.api import conditions
from slipway.api.common import ANNOTATION_APPROVE, ANNOTATION_REFUSE, Approval
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import ModelBuildStatus
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentStatus
from slipway.cli import complete
from slipway.cli.cluster import KINDS, resource_name
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import ReasonOption, with_session
from slipway.cli.output import say
from slipway.cli.session import Session
from slipway.kube.port import Object
from slipway.kube.resources import MODEL_BUILD, MODEL_DEPLOYMENT

FIELD_MANAGER = "slipway-cli-approve"
REFUSE_MANAGER = "slipway-cli-refuse"
MAX_REASON = 1024

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A ModelBuild or a ModelDeployment; md/NAME or mb/NAME says which.",
        autocompletion=complete.model_builds,
    ),
]
VersionOption = Annotated[
    int | None, typer.Option("--version", min=1, metavar="N", help="The version that is meant. Default: the one that waits.")
]
RefuseOption = Annotated[
    bool, typer.Option("--refuse", help="Refuse the promotion, for good: the version is not promoted any more. Needs --reason.")
]


@with_session
def approve(
    session: Session,
    name: NameArgument,
    version: VersionOption = None,
    reason: ReasonOption = "",
    refuse: RefuseOption = False,
) -> None:
    """Approve or refuse what waits for a person: the promotion of a ModelBuild's version (promotion.approval: Manual), or the next step
    of a ModelDeployment's roll-out (approval: Manual).

    Who approved, and why, is recorded in the annotation slipway.dev/approve (slipway.dev/refuse for a refusal), in the
    alias's history and in status.
    """
    if refuse and not reason.strip():
        raise CliError("--refuse needs a reason: --reason 'worse on the newest month'", ExitCode.USAGE)
    if _is_rollout(session, name):
        if refuse:
            raise CliError(f"ModelDeployment {name}: slipway rollout abort takes a candidate back", ExitCode.USAGE)
        _approve_step(session, name, version, reason)
        return
    found = session.cluster.require(MODEL_BUILD, session.namespace, name)
    build = ModelBuild.parse(found)
    number, waits = _number(build, version)
    if not waits:
        say(f"{build.model}:{number} is promoted already, nothing to do")
        return
    approval = Approval(version=number, by=session.person(), reason=reason[:MAX_REASON])
    if refuse:
        session.cluster.annotate(found, ANNOTATION_REFUSE, approval.to_annotation(), field_manager=REFUSE_MANAGER)
        say(f"{build.model}:{number} is refused by {approval.by}; it is not promoted any more (slipway status {name})")
        return
    session.cluster.annotate(found, ANNOTATION_APPROVE, approval.to_annotation(), field_manager=FIELD_MANAGER)
    alias = build.spec.promotion.alias if build.spec.promotion else ""
    say(f"{build.model}:{number} is approved by {approval.by}; {alias} moves to it now (slipway status {name})")


def _is_rollout(session: Session, name: str) -> bool:
    """Whether a deployment is meant: it is said, or one of that name waits for an approval."""
    kind = name.strip().rpartition("/")[0].lower()
    if kind:
        return KINDS.get(kind) is MODEL_DEPLOYMENT
    try:
        plain = resource_name(MODEL_DEPLOYMENT, name)
    except CliError:
        return False
    found = session.cluster.get(MODEL_DEPLOYMENT, session.namespace, plain)
    ready = conditions.find(_status(found).conditions, conditions.READY) if found is not None else None
    return ready is not None and ready.reason == conditions.WAITING_FOR_APPROVAL


def _status(found: Object) -> ModelDeploymentStatus:
    return ModelDeployment.parse(found).status or ModelDeploymentStatus()


def _approve_step(session: Session, name: str, version: int | None, reason: str) -> None:
    found = session.cluster.require(MODEL_DEPLOYMENT, session.namespace, name)
    status = _status(found)
    ready = conditions.find(status.conditions, conditions.READY)
    candidate = status.candidate
    if candidate is None or ready is None or ready.reason != conditions.WAITING_FOR_APPROVAL:
        raise CliError(f"ModelDeployment {name} waits for nobody: slipway rollout status {name} shows how far it is")
    if version is not None and version != candidate.version:
        raise CliError(f"version {version} is not the one that waits: ModelDeployment {name} is at version {candidate.version}")
    step = 0 if candidate.step is None else candidate.step + 1
    approval = Approval(version=candidate.version, by=session.person(), reason=reason[:MAX_REASON], step=step)
    session.cluster.annotate(found, ANNOTATION_APPROVE, approval.to_annotation(), field_manager=FIELD_MANAGER)
    say(f"step {step + 1} of version {candidate.version} is approved by {approval.by} (slipway rollout watch {name})")


def _number(build: ModelBuild, wanted: int | None) -> tuple[int, bool]:
    """The version to approve, and whether it waits for that. Raises CliError when there is nothing to approve."""
    name, promotion = build.metadata.name, build.spec.promotion
    if promotion is None:
        raise CliError(f"ModelBuild {name} has no spec.promotion: nothing is promoted; slipway alias set moves an alias by hand")
    if promotion.approval != "Manual":
        raise CliError(f"ModelBuild {name} has promotion.approval {promotion.approval}: it waits for nobody")
    version = (build.status or ModelBuildStatus()).version
    if version is None:
        raise CliError(f"ModelBuild {name} has no version yet: slipway status {name} shows how far it is")
    if wanted is not None and wanted != version.number:
        raise CliError(
            f"version {wanted} is not the one that waits: ModelBuild {name} is at version {version.number}; "
            f"slipway alias set {build.model}@{promotion.alias} {wanted} moves the alias by hand"
        )
    if version.promoted_to is not None:
        return version.number, False
    if version.approval is not None and version.approval.refused_by is not None:
        how = "was not approved in time" if version.approval.expired else f"was refused by {version.approval.refused_by}"
        raise CliError(
            f"version {version.number} {how}, which stands; "
            f"slipway alias set {build.model}@{promotion.alias} {version.number} moves the alias by hand"
        )
    failed = [gate.message for gate in version.gates if not gate.passed]
    if failed:
        raise CliError(
            f"version {version.number} failed its gates ({'; '.join(failed)}): an approval does not outweigh a gate; "
            f"slipway alias set {build.model}@{promotion.alias} {version.number} moves the alias all the same"
        )
    return version.number, True
