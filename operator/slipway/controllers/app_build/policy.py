"""What an app build is, and when it has ended: decisions of an AppBuild. Pure."""

from __future__ import annotations

from slipway.api import conditions
from slipway.api.app_build import AppBuild, AppBuildRun
from slipway.api.conditions import REASONS
from slipway.images import contract
from slipway.registry.records import digest_of
from slipway.sources.pinned import PinnedSource


def build_identity(build: AppBuild, source: PinnedSource, base: str, token: str | None) -> str:
    """The digest of everything that determines the image and where it goes. `token` forces a build of its own."""
    spec = build.spec
    return digest_of(
        {
            "kind": build.KIND,
            "name": app_name(build),
            "source": source.digest,
            "base": base,
            "entrypoint": spec.entrypoint,
            "requirements": spec.requirements,
            "repository": spec.output.repository,
            "force": token,
        }
    )


def app_name(build: AppBuild) -> str:
    return f"{build.metadata.namespace}/{build.metadata.name}"


def why(build: AppBuild, current: AppBuildRun | None, source: PinnedSource | None, base: str | None, token: str | None) -> str:
    """Why a build was started: a word of `conditions.BUILD_REASONS`. Of several changes the one nearest to the user counts."""
    if current is None:
        return conditions.FIRST_BUILD
    if token != current.rebuild:
        return conditions.FORCED
    if source is not None and source.digest != current.source:
        return conditions.BUILD_SOURCE_CHANGED
    if current.requirements not in (None, requirements_digest(build)):
        return conditions.REQUIREMENTS_CHANGED
    if base is not None and base != current.base:
        return conditions.BASE_CHANGED
    if build.metadata.generation == current.generation:
        return conditions.BUILD_SOURCE_CHANGED
    return conditions.SPEC_CHANGED


def requirements_digest(build: AppBuild) -> str:
    return digest_of(list(build.spec.requirements))


def is_settled(build: AppBuild, token: str | None, *, changed: bool) -> bool:
    """Whether the build that status tells of has ended and nothing that could change that has happened since. `changed`:
    its source or its base image has."""
    current = build.status.build if build.status else None
    if current is None or changed:
        return False
    if current.generation != build.metadata.generation or current.rebuild != token:
        return False
    if current.outcome == "Failed":
        reason = current.failure.reason if current.failure else ""
        return current.retry_after is None and reason != contract.SOURCE_CHANGED
    return current.outcome == "Succeeded"


HEALING = frozenset(reason for reason in contract.FAILURES if reason in REASONS and REASONS[reason].polarity == "waiting")
"""What a pod found missing or down and may appear by itself: its build is never given up."""
CONDITION_OF = {
    contract.OUTPUT_INVALID: conditions.INVALID_SPEC,
    contract.REQUEST_INVALID: conditions.BUILD_FAILED,
}


def condition_reason(reason: str) -> str:
    """The condition's reason for a result's reason."""
    mapped = CONDITION_OF.get(reason, reason)
    return mapped if mapped in conditions.REASONS else conditions.BUILD_FAILED
