"""Reads everything that a ModelDeployment's next step depends on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from slipway.api import conditions
from slipway.api.app_build import AppBuild
from slipway.api.common import LABEL_KIND, LABEL_REVISION, InvalidResource
from slipway.api.model_deployment import ModelDeployment
from slipway.controllers.model_deployment import past
from slipway.controllers.model_deployment.gateway import gateway_of, wants_route
from slipway.controllers.model_deployment.judging import proving_revision, subject
from slipway.controllers.model_deployment.measure import copying, readings
from slipway.controllers.model_deployment.observed import Installation, Missing, NodeCache, Observed
from slipway.controllers.model_deployment.past import Past
from slipway.controllers.model_deployment.policy import is_ready, may_read, revision_name, revision_of, rolls_out
from slipway.controllers.model_deployment.program import program_for
from slipway.controllers.model_deployment.scaling import HELPERS, may_be_scaled, wants_helpers
from slipway.controllers.shared.objects import owned, selector
from slipway.controllers.shared.pods import PodSettings
from slipway.kube.port import Object, Rejected
from slipway.kube.resources import APP_BUILD, DEPLOYMENT, HTTP_ROUTE, POD, SCALED_OBJECT, SERVICE
from slipway.provenance.dsse import KeyInvalid, load_public_keys
from slipway.provenance.policy import Policy, problem
from slipway.provenance.verify import verify_claims
from slipway.reconcile.contract import Stalled
from slipway.reconcile.deps import Deps
from slipway.registry.errors import NotInRegistry, UnknownAlias, UnknownVersion
from slipway.registry.names import ModelName, ModelRef
from slipway.registry.records import VersionRecord
from slipway.storage.port import Unavailable


def installation(deps: Deps) -> Installation:
    s = deps.settings
    pods = PodSettings(s.registry, s.store_secret, s.store_endpoint, s.store_region, s.image_pull_policy, s.image_pull_secret)
    cache = NodeCache(s.node_cache_path, s.node_cache_size, s.node_cache_namespaces) if s.node_cache_path else None
    return Installation(
        pods,
        s.serving_image,
        s.serving_service_account,
        s.trusted_types,
        s.verification,
        s.public_keys,
        cache,
        s.prometheus_url,
    )


async def observe(deps: Deps, resource: Object, now: datetime) -> Observed:
    """Raises Stalled for a spec that cannot be read, and the store's errors."""
    try:
        deployment = ModelDeployment.parse(resource)
    except InvalidResource as error:
        raise Stalled(conditions.INVALID_SPEC, str(error)) from error
    namespace = deployment.metadata.namespace
    found = await deps.kube.list(DEPLOYMENT, namespace, selector(deployment))
    service = await deps.kube.get(SERVICE, namespace, deployment.metadata.name)
    observed = Observed(
        deployment=deployment,
        installation=installation(deps),
        deployments=owned(deployment, found),
        service=service if service and owned(deployment, [service]) else None,
        helpers=await _helpers(deps, deployment),
    )
    observed = await _scaled(deps, observed)
    observed = await _route(deps, observed)
    try:
        observed = await _wanted(deps, observed)
        observed = replace(observed, past=await _past(deps, observed, resource["spec"]))
    except Unavailable as error:
        # Without the store no new roll-out begins; but a candidate that does harm is taken back whatever the store does.
        if subject(deployment, program_for(deployment), now) is None:
            raise
        observed = replace(observed, unreachable=str(error))
    proving = proving_revision(deployment, now)
    pods = {
        revision: await _pods(deps, deployment, revision)
        for child in observed.deployments
        if (revision := revision_of(child)) and (revision == proving or not is_ready(child))
    }
    return replace(observed, pods=pods, readings=await readings(deps, deployment, now), copying=await copying(deps, deployment))


async def _helpers(deps: Deps, deployment: ModelDeployment) -> tuple[Object, ...]:
    if not wants_helpers(deployment):
        return ()
    meta = deployment.metadata
    found = [await deps.kube.get(resource, meta.namespace, meta.name) for resource in HELPERS]
    return owned(deployment, [child for child in found if child is not None])


async def _scaled(deps: Deps, observed: Observed) -> Observed:
    """Whether KEDA is there, and its ScaledObject."""
    deployment = observed.deployment
    if not may_be_scaled(deployment):
        return observed
    try:
        found = await deps.kube.get(SCALED_OBJECT, deployment.metadata.namespace, deployment.metadata.name)
    except Rejected:
        return observed  # the kind is not there, or not for us: the HorizontalPodAutoscaler does it
    ours = owned(deployment, [found]) if found is not None else ()
    return replace(observed, helpers=(*observed.helpers, *ours), keda=bool(deps.settings.prometheus_url))


async def _route(deps: Deps, observed: Observed) -> Observed:
    deployment = observed.deployment
    if not wants_route(deployment):
        return observed
    try:
        found = await deps.kube.get(HTTP_ROUTE, deployment.metadata.namespace, deployment.metadata.name)
    except Rejected as error:
        # The kind is not there, or not for us: a condition when somebody asks for it, and nothing otherwise.
        if gateway_of(deployment) is None:
            return observed
        words = f"spec.traffic.gateway: {error}; install Gateway API, or leave the field out"
        return replace(observed, unroutable=Missing(conditions.GATEWAY_MISSING, words))
    if found is None or owned(deployment, [found]):
        return replace(observed, route=found)
    taken = gateway_of(deployment) is not None and LABEL_KIND not in found["metadata"].get("labels", {})
    words = (
        f"HTTPRoute {deployment.metadata.name} exists and is not Slipway's: remove it, or give this ModelDeployment another name"
    )
    return replace(observed, unroutable=Missing(conditions.NAME_TAKEN, words) if taken else None)


async def _pods(deps: Deps, deployment: ModelDeployment, revision: str) -> tuple[Object, ...]:
    labels = selector(deployment) | {LABEL_REVISION: revision}
    return tuple(await deps.kube.list(POD, deployment.metadata.namespace, labels))


async def _wanted(deps: Deps, observed: Observed) -> Observed:
    version = await _version(deps, observed.deployment)
    if isinstance(version, Missing):
        return replace(observed, missing=version)
    untrusted = await _untrusted(deps, observed.deployment, version)
    if untrusted is not None:
        return replace(observed, missing=untrusted)
    app = await _image(deps, observed)
    if isinstance(app, Missing):
        return replace(observed, version=version, missing=app)
    image, entrypoint = app
    return replace(observed, version=version, image=image, entrypoint=entrypoint)


async def _past(deps: Deps, observed: Observed, spec: Object) -> Past | None:
    """What the registry knows, for a resource that knows nothing of itself: it was made anew, or its status was lost."""
    deployment, version, image = observed.deployment, observed.version, observed.image
    if not past.is_asked_for(deployment.status) or version is None or image is None:
        return None
    meta, model = deployment.metadata, "/".join(deployment.model_name())
    records = tuple(await deps.executor.run(deps.registry.rollouts, meta.namespace, meta.name))
    revision = revision_name(version.digest, image, deployment.spec)
    held = past.held_record(records, revision, spec)
    before = past.last_served(records, model, but=revision) if held is not None else None
    if before is None:
        return Past(records, held)
    try:
        instead = await deps.executor.run(deps.registry.get, before.model, before.version)
    except NotInRegistry:
        return Past(records, held)
    trusted = instead.digest == before.digest and await _untrusted(deps, deployment, instead) is None
    return Past(records, held, instead if trusted else None, before.image)


async def _version(deps: Deps, deployment: ModelDeployment) -> VersionRecord | Missing:
    spec = deployment.spec.model
    namespace, name = deployment.model_name()
    own = deployment.metadata.namespace
    if not may_read(own, namespace, [(grant.from_, grant.to) for grant in deps.settings.read_grants]):
        message = (
            f"spec.model.name: namespace {own} may not read the models of {namespace}; the chart's value readGrants allows it"
        )
        return Missing(conditions.NOT_PERMITTED, message)
    ref = ModelRef(ModelName(namespace, name), alias=spec.alias, version=spec.version)
    try:
        return await deps.executor.run(deps.registry.resolve, ref)
    except UnknownAlias as error:
        return Missing(conditions.ALIAS_NOT_FOUND, f"spec.model.alias: {error}")
    except UnknownVersion as error:
        return Missing(conditions.VERSION_NOT_FOUND, f"spec.model.version: {error}")
    except NotInRegistry as error:
        return Missing(conditions.MODEL_NOT_FOUND, f"spec.model.name: {error}")


async def _untrusted(deps: Deps, deployment: ModelDeployment, version: VersionRecord) -> Missing | None:
    """What a version that would be new here lacks of what the installation demands; None when it may go."""
    policy = deps.settings.verification
    if policy is Policy.OFF or not rolls_out(deployment, version.digest):
        return None
    try:
        keys = load_public_keys(deps.settings.public_keys)
    except KeyInvalid as error:
        return Missing(conditions.NOT_VERIFIED, f"the chart's value provenance.publicKeys: {error}")
    checks = await deps.executor.run(verify_claims, deps.blobs, version, keys)
    lacking = problem(checks, policy)
    if lacking is None:
        return None
    demanded = f"the installation demands provenance.verification={policy.value}"
    return Missing(conditions.NOT_VERIFIED, f"version {version.version} is not rolled out: {lacking} ({demanded})")


async def _image(deps: Deps, observed: Observed) -> tuple[str, str | None] | Missing:
    """The image to serve with, and the entrypoint of the application in it."""
    deployment = observed.deployment
    app = deployment.spec.app
    if app is None:
        image = observed.installation.serving_image
        if image:
            return image, None
        return Missing(
            conditions.INVALID_SPEC, "spec.app: give one; this installation names no serving image (chart value image.serving)"
        )
    if app.image:
        return app.image, None
    name = app.name or ""
    found = await deps.kube.get(APP_BUILD, deployment.metadata.namespace, name)
    if found is None:
        message = f"spec.app.name: there is no AppBuild {name} in namespace {deployment.metadata.namespace}"
        return Missing(conditions.APP_BUILD_NOT_FOUND, message)
    try:
        build = AppBuild.parse(found)
    except InvalidResource as error:
        return Missing(conditions.IMAGE_NOT_READY, f"AppBuild {name} cannot be read: {error}")
    if build.status is None or not build.status.image:
        ready = conditions.find(build.status.conditions if build.status else (), conditions.READY)
        words = f" ({ready.reason}: {ready.message})" if ready else ""
        return Missing(conditions.IMAGE_NOT_READY, f"AppBuild {name} has not pushed an image yet{words}")
    return build.status.image, build.spec.entrypoint
