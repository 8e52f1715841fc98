"""Reads everything that a ModelBuild's next step depends on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from slipway.api import conditions
from slipway.api.build_inputs import Input
from slipway.api.common import ANNOTATION_APPROVE, ANNOTATION_REFUSE, Approval, InvalidResource
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import Build
from slipway.controllers.model_build.followers import behind
from slipway.controllers.model_build.observed import Installation, Observed
from slipway.controllers.model_build.policy import PinnedBuild, build_identity, is_settled, promoter, replacing
from slipway.controllers.model_build.triggers import Times, observed_change, schedule_times, standing, watches
from slipway.controllers.shared.observe import Code, Recorded, observe_attempt, owned_jobs, pin_source
from slipway.controllers.shared.pods import PodSettings
from slipway.kube.port import Object
from slipway.reconcile.contract import Stalled, Transient
from slipway.reconcile.deps import Deps
from slipway.registry.errors import NotInRegistry
from slipway.registry.records import AttemptResult, VersionRecord, digest_of
from slipway.sources.errors import InputMissing, SourceError, SourceInvalid
from slipway.sources.feature_pins import pin_features, pin_snapshot
from slipway.sources.pinned import PinnedInput, PinnedSource, input_digest
from slipway.sources.resolve import pin_s3
from slipway.storage.port import StorageError
from slipway.training import contract
from slipway.training.contract import BuildRequest


def installation(deps: Deps) -> Installation:
    s = deps.settings
    pods = PodSettings(s.registry, s.store_secret, s.store_endpoint, s.store_region, s.image_pull_policy, s.image_pull_secret)
    return Installation(pods, s.training_image, s.training_service_account, s.trusted_types)


async def observe(deps: Deps, resource: Object, now: datetime) -> Observed:
    """Raises Stalled for what is missing or invalid, and the store's errors."""
    observed = await _observe(deps, resource, now)
    return replace(observed, followers=await behind(deps, observed, now))


async def _observe(deps: Deps, resource: Object, now: datetime) -> Observed:
    try:
        build = ModelBuild.parse(resource)
    except InvalidResource as error:
        raise Stalled(conditions.INVALID_SPEC, str(error)) from error
    token = build.rebuild_token(build.spec.rebuild)
    approval = Approval.parse(build.metadata.annotations.get(ANNOTATION_APPROVE, ""))
    wish = Approval.parse(build.metadata.annotations.get(ANNOTATION_REFUSE, ""))
    found = schedule_times(build, now)
    base = Observed(build=build, installation=installation(deps), token=token, approval=approval, wish=wish, look_at=found.next)
    base = replace(base, jobs=await owned_jobs(deps, build), triggers=standing(build, found, acted=False))
    code = await _config_map(deps, build)
    current = build.status.build if build.status else None
    changed = code.source.digest if code and current and code.source.digest != current.source else None
    if current and is_settled(build, token, (approval, wish), now, source_changed=changed is not None):
        return await _look_again(deps, base, current, found, code, now)
    if current and not changed and current.generation == build.metadata.generation and current.rebuild == token:
        if found.due and build.spec.schedule and build.spec.schedule.concurrency_policy == "Replace":
            return await _begin(deps, _acted(base, found), code)
        kept = await _go_on(deps, base, current)
        if kept is not None:
            return kept
    return await _begin(deps, base, code)


def _acted(base: Observed, found: Times) -> Observed:
    return replace(base, cause=conditions.SCHEDULED, triggers=standing(base.build, found, acted=True))


async def _look_again(deps: Deps, base: Observed, current: Build, found: Times, code: Code | None, now: datetime) -> Observed:
    """A build that has ended: whether a time or a change starts another one."""
    settled = replace(base, settled=True, identity=current.id)
    if found.due is not None:
        base = _acted(base, found)
        begun = await _begin(deps, base, code)
        return begun if begun.identity != current.id else replace(settled, triggers=base.triggers)
    if not watches(base.build):
        return settled
    try:
        pinned, _ = await _pin(deps, base, code)
    except (Stalled, Transient, StorageError, SourceError):
        # Not a fault of the version that is there: what cannot be seen now is looked at again.
        return settled
    identity = build_identity(base.build, pinned, base.installation.training_image, base.token)
    if identity == current.id or await _replaces(deps, base.build, identity, current.id):
        return settled
    known = base.build.status.triggers.pending if base.build.status and base.build.status.triggers else None
    debounce = base.build.spec.triggers.debounce_seconds if base.build.spec.triggers else 0
    pending, counts = observed_change(known, identity, now, debounce)
    if now >= counts:
        return await _begin(deps, base, code)
    look = min(counts, base.look_at) if base.look_at else counts
    return replace(settled, triggers=standing(base.build, found, acted=False, pending=pending), look_at=look)


async def _replaces(deps: Deps, build: ModelBuild, identity: str, current: str) -> bool:
    """Whether the present build stands in for one of `identity` whose files were lost."""
    version = await deps.executor.run(deps.registry.find_build, build.model, identity)
    while version is not None:
        identity = replacing(identity, version.version)
        if identity == current:
            return True
        version = await deps.executor.run(deps.registry.find_build, build.model, identity)
    return False


async def _config_map(deps: Deps, build: ModelBuild) -> Code | None:
    """A ConfigMap has no version of its own that spec could name: it is looked at each time. One that was taken away after
    the build ended changes nothing."""
    if build.spec.source.config_map is None:
        return None
    try:
        return await pin_source(deps, build.metadata.namespace, build.spec.source)
    except Stalled:
        if build.status and build.status.build:
            return None
        raise


async def _go_on(deps: Deps, base: Observed, current: Build) -> Observed | None:
    """The build that status tells of. None when it has to be planned anew: its source or data changed under it, or what
    it was asked is lost."""
    number = current.attempt or 1
    recorded = Recorded(number, current.first_attempt or number, started=current.outcome == "Running" and bool(current.job))
    attempt = await observe_attempt(deps, base.build, current.id, base.jobs, recorded, AttemptResult)
    request = await deps.executor.run(deps.registry.read_request, current.id, recorded.first, BuildRequest)
    if attempt.result is not None and attempt.result.reason in (contract.SOURCE_CHANGED, contract.INPUT_CHANGED):
        return None
    observed = replace(base, identity=current.id, attempt=attempt, request=request)
    return await _with_version(deps, observed)


async def _begin(deps: Deps, base: Observed, code: Code | None) -> Observed:
    """The build that spec asks for now, with source and inputs pinned to what they are at this moment."""
    build = base.build
    pinned, code = await _pin(deps, base, code)
    identity = build_identity(build, pinned, base.installation.training_image, base.token)
    version = await deps.executor.run(deps.registry.find_build, build.model, identity)
    while version is not None and await _is_lost(deps, version):
        identity = replacing(identity, version.version)
        version = await deps.executor.run(deps.registry.find_build, build.model, identity)
    observed = replace(base, identity=identity, pinned=pinned, blobs=code.blobs if code else {}, version=version)
    if version is None:
        current = build.status.build if build.status else None
        recorded = None
        if current and current.id == identity:
            number = current.attempt or 1
            recorded = Recorded(number, current.first_attempt or number, started=current.outcome == "Running")
        attempt = await observe_attempt(deps, build, identity, base.jobs, recorded, AttemptResult)
        observed = replace(observed, attempt=attempt)
    return await _with_version(deps, observed)


async def _pin(deps: Deps, base: Observed, code: Code | None) -> tuple[PinnedBuild, Code | None]:
    """Source and inputs as they are now."""
    build = base.build
    code = code or await pin_source(deps, build.metadata.namespace, build.spec.source)
    source = code.source if code else image_source(build.spec.trainer.image or "")
    return PinnedBuild(source, await _pin_inputs(deps, build)), code


async def _is_lost(deps: Deps, version: VersionRecord) -> bool:
    missing: list[str] = await deps.executor.run(deps.registry.missing_blobs, version)
    return bool(missing)


def image_source(image: str) -> PinnedSource:
    return PinnedSource(kind="image", uri=image, digest=digest_of({"image": image}))


async def _pin_inputs(deps: Deps, build: ModelBuild) -> tuple[PinnedInput, ...]:
    pinned = []
    for entry in build.spec.inputs:
        try:
            pinned.append(await deps.executor.run(_pin_input, deps, build.metadata.namespace, entry))
        except InputMissing as error:
            raise Stalled(conditions.INPUT_MISSING, f"input {entry.name}: {error}") from error
        except SourceInvalid as error:
            raise Stalled(conditions.INVALID_SPEC, f"input {entry.name}: {error}") from error
    return tuple(pinned)


def _pin_input(deps: Deps, namespace: str, entry: Input) -> PinnedInput:
    """Blocks. Raises InputMissing, SourceInvalid, the store's errors."""
    store, stores = deps.registry.store, deps.stores
    if (snapshot := entry.feature_snapshot) is not None:
        return _with_digest(entry.name, snapshot=pin_snapshot(store, namespace, snapshot.name, snapshot.number))
    if (view := entry.feature_view) is not None:
        entities = pin_s3(stores, view.entities.uri).pinned if view.entities is not None else None
        how: dict[str, Any] = {"as_of": view.as_of, "time": view.time, "full_names": view.full_names}
        return _with_digest(entry.name, features=pin_features(store, stores, namespace, view.wanted, entities=entities, **how))
    if entry.s3 is None:
        raise SourceInvalid("give exactly one of s3, featureView, featureSnapshot")
    found = pin_s3(stores, entry.s3.uri)
    return PinnedInput(name=entry.name, digest=found.digest, s3=found.pinned)


def _with_digest(name: str, **what: Any) -> PinnedInput:
    draft = PinnedInput(name=name, digest=f"sha256:{'0' * 64}", **what)
    return draft.model_copy(update={"digest": input_digest(draft)})


async def _with_version(deps: Deps, observed: Observed) -> Observed:
    """Adds what gates and promotion compare with, once there is something to judge."""
    build = observed.build
    version = observed.version
    if version is None and observed.pinned is None:
        version = await deps.executor.run(deps.registry.find_build, build.model, observed.identity)
    trained = observed.attempt is not None and observed.attempt.result is not None
    if version is None and not trained:
        return observed
    gates = build.spec.evaluation.gates if build.spec.evaluation else ()
    baselines = {
        alias: found
        for alias in {gate.no_worse_than for gate in gates if gate.no_worse_than}
        if (found := await _baseline(deps, build.model, alias, observed.identity)) is not None
    }
    promoted = version is not None and await _was_promoted(deps, build, version)
    refusal = None
    if version is not None and not promoted and build.spec.promotion and build.spec.promotion.approval == "Manual":
        refusal = await deps.executor.run(deps.registry.refusal, build.model, build.spec.promotion.alias, version.version)
    return replace(observed, version=version, baselines=baselines, promoted=promoted, refusal=refusal)


async def _baseline(deps: Deps, model: str, alias: str, identity: str) -> VersionRecord | None:
    """The version to compare with: where the alias points, or pointed before it came to the version under judgement."""
    move = await deps.executor.run(deps.registry.alias, model, alias)
    if move is None or move.version is None:
        return None
    record: VersionRecord = await deps.executor.run(deps.registry.get, model, move.version)
    if record.build_id != identity:
        return record
    if move.previous is None:
        return None
    try:
        return await deps.executor.run(deps.registry.get, model, move.previous)
    except NotInRegistry:
        return None


async def _was_promoted(deps: Deps, build: ModelBuild, version: VersionRecord) -> bool:
    """Whether this resource's newest move of the alias was to `version`. Then it is done, even if a person has moved the
    alias elsewhere since: a rollback must not be undone by the next reconcile."""
    if build.spec.promotion is None:
        return False
    moves = await deps.executor.run(deps.registry.history, build.model, build.spec.promotion.alias)
    mine = next((move for move in moves if move.reason.startswith(promoter(build))), None)
    return mine is not None and mine.version == version.version
