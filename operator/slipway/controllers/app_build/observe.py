"""Reads everything that an AppBuild's next step depends on."""

from __future__ import annotations

from dataclasses import replace

from slipway.api import conditions
from slipway.api.app_build import AppBuild, AppBuildRun
from slipway.api.common import InvalidResource
from slipway.controllers.app_build.observed import Installation, Observed
from slipway.controllers.app_build.policy import build_identity, is_settled
from slipway.controllers.shared.observe import Code, Recorded, observe_attempt, owned_jobs, pin_source
from slipway.controllers.shared.pods import PodSettings
from slipway.images import contract
from slipway.images.contract import AppBuildRequest, AppBuildResult, PreviousBuild
from slipway.images.errors import InvalidReference, NotInRegistry, RegistryDenied, RegistryError
from slipway.images.lookup import exists, pin
from slipway.kube.port import Object
from slipway.reconcile.contract import Stalled, Transient
from slipway.reconcile.deps import Deps
from slipway.registry.records import digest_of


def installation(deps: Deps) -> Installation:
    s = deps.settings
    pods = PodSettings(s.registry, s.store_secret, s.store_endpoint, s.store_region, s.image_pull_policy, s.image_pull_secret)
    return Installation(
        pods, s.training_image, s.serving_image, s.training_service_account, s.insecure_registries, s.package_index_url
    )


async def observe(deps: Deps, resource: Object) -> Observed:
    """Raises Stalled for what is missing or invalid, and the store's errors."""
    try:
        build = AppBuild.parse(resource)
    except InvalidResource as error:
        raise Stalled(conditions.INVALID_SPEC, str(error)) from error
    token = build.rebuild_token(build.spec.rebuild)
    base = Observed(build=build, installation=installation(deps), token=token, jobs=await owned_jobs(deps, build))
    current = build.status.build if build.status else None
    code = await _config_map(deps, build, current)
    changed = bool(code and current and code.source.digest != current.source)
    if current and is_settled(build, token, changed=changed):
        image = await _new_base(deps, base, current)
        return await _rebase(deps, base, current, image) if image else replace(base, settled=True, identity=current.id)
    if current and not changed and current.generation == build.metadata.generation and current.rebuild == token:
        kept = await _go_on(deps, base, current)
        if kept is not None:
            return kept
    return await _begin(deps, base, code)


async def _config_map(deps: Deps, build: AppBuild, current: AppBuildRun | None) -> Code | None:
    """A ConfigMap has no version of its own that spec could name: it is looked at each time. One that was taken away after
    the build began changes nothing."""
    if build.spec.source.config_map is None:
        return None
    try:
        return await pin_source(deps, build.metadata.namespace, build.spec.source)
    except Stalled:
        if current is not None:
            return None
        raise


async def _go_on(deps: Deps, base: Observed, current: AppBuildRun) -> Observed | None:
    """The build that status tells of. None when it has to be planned anew: its source changed under it, or what it was asked
    is lost."""
    number = current.attempt or 1
    recorded = Recorded(number, current.first_attempt or number, started=current.outcome == "Running" and bool(current.job))
    attempt = await observe_attempt(deps, base.build, current.id, base.jobs, recorded, AppBuildResult)
    request = await deps.executor.run(deps.registry.read_request, current.id, recorded.first, AppBuildRequest)
    if request is None or (attempt.result is not None and attempt.result.reason == contract.SOURCE_CHANGED):
        return None
    return replace(base, identity=current.id, attempt=attempt, request=request)


async def _begin(deps: Deps, base: Observed, code: Code | None) -> Observed:
    """The build that spec asks for now, with source and base image pinned to what they are at this moment."""
    build = base.build
    code = code or await pin_source(deps, build.metadata.namespace, build.spec.source)
    if code is None:
        raise Stalled(conditions.INVALID_SPEC, "source: give exactly one of configMap, s3, git")
    return await _planned(deps, base, code, await _pin_base(deps, base))


async def _rebase(deps: Deps, base: Observed, current: AppBuildRun, image: str) -> Observed:
    """The build that has ended, with the same source on another base. A build that failed, or whose request is lost, is
    planned from what spec names now."""
    attempt = await observe_attempt(deps, base.build, current.id, base.jobs, None, AppBuildResult)
    request = await deps.executor.run(deps.registry.read_request, current.id, attempt.number, AppBuildRequest)
    if current.outcome != "Succeeded" or request is None:
        return await _begin(deps, base, None)
    previous = PreviousBuild(build_id=current.id, attempt=attempt.number)
    return await _planned(deps, replace(base, previous=previous), Code(request.source), image)


async def _planned(deps: Deps, base: Observed, code: Code, image: str) -> Observed:
    """The build of `code` on `image`, and where it stands."""
    build = base.build
    identity = build_identity(build, code.source, image, base.token)
    current = build.status.build if build.status else None
    recorded = None
    if current and current.id == identity:
        number = current.attempt or 1
        recorded = Recorded(number, current.first_attempt or number, started=current.outcome == "Running")
    attempt = await observe_attempt(deps, build, identity, base.jobs, recorded, AppBuildResult)
    while recorded is None and attempt.job is None and attempt.result is not None and not await _is_there(deps, attempt.result):
        # Built once, and lost since: another identity, so that it is built again.
        identity = digest_of({"build": identity, "lost": attempt.number})
        attempt = await observe_attempt(deps, build, identity, base.jobs, None, AppBuildResult)
    return replace(base, identity=identity, source=code.source, base=image, blobs=code.blobs, attempt=attempt)


async def _pin_base(deps: Deps, base: Observed) -> str:
    spec = base.build.spec.base
    image = (spec.image if spec else None) or base.installation.serving_image
    if not image:
        raise Stalled(
            conditions.INVALID_SPEC, "base.image: give one; this installation names no serving image (chart value image.serving)"
        )
    try:
        return await deps.executor.run(pin, image, base.installation.insecure_registries)
    except InvalidReference as error:
        raise Stalled(conditions.INVALID_SPEC, f"base.image: {error}") from error
    except NotInRegistry as error:
        raise Stalled(conditions.BASE_MISSING, f"base.image: {error}") from error
    except RegistryDenied as error:
        message = f"base.image: {error}; name it by digest, then the pod, which has output.credentialsSecret, looks it up"
        raise Stalled(conditions.REGISTRY_DENIED, message) from error
    except RegistryError as error:
        raise Transient(conditions.REGISTRY_UNAVAILABLE, f"base.image: {error}") from error


async def _new_base(deps: Deps, base: Observed, current: AppBuildRun) -> str | None:
    """The base image as it is now, if it has another digest than the one that was built on and that shall start a build. In
    doubt none: an image that stands is no reason to complain about a registry."""
    if current.base is None or base.build.spec.rebase == "Never":
        return None
    try:
        image = await _pin_base(deps, base)
    except (Stalled, Transient):
        return None
    return image if image != current.base else None


async def _is_there(deps: Deps, result: AppBuildResult) -> bool:
    """Whether an image that was pushed before is still in its registry. In doubt yes: what cannot be asked is not lost."""
    if not result.image:
        return True
    try:
        return await deps.executor.run(exists, result.image, deps.settings.insecure_registries)
    except RegistryError:
        return True
