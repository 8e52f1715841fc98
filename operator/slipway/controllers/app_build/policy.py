"""What an app build is, and when it has ended: decisions of an AppBuild. Pure."""

from __future__ import annotations

from slipway.api import conditions
from slipway.api.app_build import AppBuild, AppBuildRun
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


def why(build: AppBuild, current: AppBuildRun | None, source: PinnedSource | None, token: str | None) -> str:
    """Why a build was started: a word of `conditions.BUILD_REASONS`."""
    if current is None:
        return conditions.FIRST_BUILD
    if token != current.rebuild:
        return conditions.FORCED
    if build.metadata.generation == current.generation or (source is not None and source.digest != current.source):
        return conditions.BUILD_SOURCE_CHANGED
    return conditions.SPEC_CHANGED


def is_settled(build: AppBuild, token: str | None, *, source_changed: bool) -> bool:
    """Whether the build that status tells of has ended and nothing that could change that has happened since."""
    current = build.status.build if build.status else None
    if current is None or source_changed:
        return False
    if current.generation != build.metadata.generation or current.rebuild != token:
        return False
    if current.outcome == "Failed":
        reason = current.failure.reason if current.failure else ""
        return current.retry_after is None and reason != contract.SOURCE_CHANGED
    return current.outcome == "Succeeded"


CONDITION_OF = {
    contract.OUTPUT_INVALID: conditions.INVALID_SPEC,
    contract.REQUEST_INVALID: conditions.BUILD_FAILED,
}


def condition_reason(reason: str) -> str:
    """The condition's reason for a result's reason."""
    mapped = CONDITION_OF.get(reason, reason)
    return mapped if mapped in conditions.REASONS else conditions.BUILD_FAILED
