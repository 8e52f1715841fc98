"""Reads that both kinds of builds make: their source, pinned, and the facts of their present attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from slipway.api import conditions
from slipway.api.common import LABEL_ATTEMPT, LABEL_BUILD, ConfigMapSource, GitSource, Resource, S3Source
from slipway.controllers.shared.attempts import Attempt, of_build
from slipway.controllers.shared.objects import owned, selector, short
from slipway.kube.port import Object
from slipway.kube.resources import CONFIG_MAP, JOB, POD
from slipway.reconcile.contract import Stalled, Transient
from slipway.reconcile.deps import Deps
from slipway.registry.records import JobResult
from slipway.sources.errors import InputMissing, SourceInvalid, SourceMissing, SourceUnavailable
from slipway.sources.pinned import PinnedSource
from slipway.sources.resolve import pin_configmap, pin_git, pin_s3

MAX_ATTEMPTS = 1000


class SourceSpec(Protocol):
    """What the sources of both kinds have in common."""

    @property
    def config_map(self) -> ConfigMapSource | None: ...
    @property
    def s3(self) -> S3Source | None: ...
    @property
    def git(self) -> GitSource | None: ...


@dataclass(frozen=True)
class Code:
    """A pinned source, and the bytes that have to be kept before anybody can fetch it."""

    source: PinnedSource
    blobs: Mapping[str, bytes] = field(default_factory=dict)


async def pin_source(deps: Deps, namespace: str, spec: SourceSpec) -> Code | None:
    """The code that `spec` names, as it is now; None when the spec names none of the three. Raises Stalled and Transient."""
    try:
        if spec.config_map is not None:
            return await _pin_config_map(deps, namespace, spec.config_map.name)
        if spec.s3 is not None:
            s3 = await deps.executor.run(pin_s3, deps.stores, spec.s3.uri)
            return Code(PinnedSource(kind="s3", uri=spec.s3.uri, digest=s3.digest, s3=s3.pinned))
        if spec.git is not None:
            git = await deps.executor.run(pin_git, spec.git.url, spec.git.ref, spec.git.path)
            return Code(PinnedSource(kind="git", uri=spec.git.url, digest=git.digest, git=git.pinned))
    except (SourceMissing, InputMissing) as error:
        raise Stalled(conditions.SOURCE_MISSING, f"source: {error}") from error
    except SourceInvalid as error:
        raise Stalled(conditions.SOURCE_INVALID, f"source: {error}") from error
    except SourceUnavailable as error:
        raise Transient(conditions.GIT_UNAVAILABLE, f"source: {error}") from error
    return None


async def _pin_config_map(deps: Deps, namespace: str, name: str) -> Code:
    found = await deps.kube.get(CONFIG_MAP, namespace, name)
    if found is None:
        raise Stalled(conditions.SOURCE_MISSING, f"source.configMap: there is no ConfigMap {name} in namespace {namespace}")
    source, blobs = pin_configmap(namespace, name, found.get("data") or {}, found.get("binaryData") or {})
    return Code(source, blobs)


@dataclass(frozen=True)
class Recorded:
    """What our status says of the build that we look at."""

    number: int
    first: int
    started: bool


R = TypeVar("R", bound=JobResult)


async def owned_jobs(deps: Deps, resource: Resource) -> tuple[Object, ...]:
    return owned(resource, await deps.kube.list(JOB, resource.metadata.namespace, selector(resource)))


async def observe_attempt(
    deps: Deps, resource: Resource, build_id: str, jobs: tuple[Object, ...], recorded: Recorded | None, kind: type[R]
) -> Attempt[R]:
    """The present attempt of a build: the highest that our status or a Job of ours knows of, else the first that nobody has
    a failed result of."""
    ours = of_build(jobs, build_id)
    known = [*ours, *((recorded.number,) if recorded else ())]
    if not known:
        number, result = await _next_free(deps, build_id, kind)
        return Attempt(number=number, tries=1, result=result)
    number = max(known)
    first = min([*ours, *((recorded.first,) if recorded else ())])
    result = await _result(deps, build_id, number, kind)
    job = ours.get(number)
    pods: tuple[Object, ...] = ()
    if job is not None and result is None:
        labels = selector(resource) | {LABEL_BUILD: short(build_id), LABEL_ATTEMPT: str(number)}
        pods = tuple(await deps.kube.list(POD, resource.metadata.namespace, labels))
    started = bool(recorded and recorded.started and recorded.number == number)
    return Attempt(number=number, tries=number - first + 1, job=job, pods=pods, result=result, started=started)


async def _next_free(deps: Deps, build_id: str, kind: type[R]) -> tuple[int, R | None]:
    for number in range(1, MAX_ATTEMPTS):
        result = await _result(deps, build_id, number, kind)
        if result is None or result.outcome == "Succeeded":
            return number, result
    raise Stalled(conditions.REJECTED, f"this build failed {MAX_ATTEMPTS} times; change it, or force another one by spec.rebuild")


async def _result(deps: Deps, build_id: str, number: int, kind: type[R]) -> R | None:
    return await deps.executor.run(deps.registry.read_result, build_id, number, kind)
