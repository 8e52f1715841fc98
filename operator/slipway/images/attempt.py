"""One attempt of an app build, from request to result. The image is pushed first, the result is written last, so that a
result never names what is not there. The first result of an attempt stands: a pod that is started again goes by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from slipway.images import contract
from slipway.images.contract import AppBuildRequest, AppBuildResult, AppLayer, Attestation
from slipway.images.errors import ImageError
from slipway.images.failures import failure_of
from slipway.registry.records import FileEntry, SourceRecord
from slipway.registry.registry import Registry, attempt_prefix
from slipway.storage.port import Stores
from slipway.training.failures import Failure, patiently, without_secrets
from slipway.training.log import LogFile
from slipway.training.process import Stop, Stopped, until_stopped

STORE_PATIENCE = 60.0
"""Seconds for which a store that does not answer is asked again."""


@dataclass
class Pod:
    """What an attempt works with. `work` is an empty folder that can be written."""

    registry: Registry
    stores: Stores
    build_id: str
    number: int
    work: Path
    environment: Mapping[str, str]
    log: LogFile
    stop: Stop = field(default_factory=Stop)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    left: Event = field(default_factory=Event)
    """Set once nobody waits for the build any more: nothing may become visible after that."""

    def tell(self, text: str) -> None:
        """A line of the log, without secrets."""
        self.log.line(without_secrets(text, self.environment))

    def check(self) -> None:
        """Raises Stopped when the attempt is being given up."""
        if self.left.is_set() or self.stop:
            raise Stopped(contract.POD_FAILED)

    def patiently(self, call: Callable[[], Any]) -> Any:
        """`call`, again while the store does not answer."""
        return patiently(call, seconds=STORE_PATIENCE, tell=self.tell, sleep=self.sleep)


@dataclass
class Draft:
    """A result in the making: what is known so far."""

    started_at: datetime
    source: SourceRecord | None = None
    image: str | None = None
    digest: str | None = None
    base: str = ""
    layers: tuple[AppLayer, ...] = ()
    requirements: tuple[str, ...] = ()
    bytes_sent: int = 0
    attestation_bytes_sent: int = 0
    sbom: str | None = None
    rebased: bool = False
    attestations: tuple[Attestation, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measures a step, also one that fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.timings[name] = round(time.monotonic() - began, 3)


Build = Callable[[Pod, AppBuildRequest, Draft], None]


def run(pod: Pod, build: Build) -> AppBuildResult:
    """The whole attempt. Raises only the store's errors, when not even the result could be written."""
    done: AppBuildResult | None = pod.patiently(lambda: pod.registry.read_result(pod.build_id, pod.number, AppBuildResult))
    if done is not None:
        pod.tell(f"this attempt has ended before: {done.outcome}, {done.reason}")
        return done
    draft, began = Draft(pod.clock()), time.monotonic()
    failure: Failure | None = None
    try:
        request: AppBuildRequest = pod.patiently(lambda: _request(pod))
        until_stopped(lambda: build(pod, request, draft), pod.stop, request.deadline_seconds)
    except Stopped as stopped:
        pod.left.set()
        failure = _stopped(str(stopped.args[0]), time.monotonic() - began)
    except Exception as error:  # whatever failed is told in the result
        failure = failure_of(error)
    return _report(pod, draft, failure)


def _request(pod: Pod) -> AppBuildRequest:
    request = pod.registry.read_request(pod.build_id, pod.number, AppBuildRequest)
    if request is None:
        where = f"{pod.registry.store.uri}/{attempt_prefix(pod.build_id, pod.number)}request.json"
        raise ImageError(
            f"there is no request at {where}: SLIPWAY_ATTEMPT or SLIPWAY_REGISTRY is wrong", contract.REQUEST_INVALID
        )
    return request


def _stopped(reason: str, seconds: float) -> Failure:
    if reason == contract.DEADLINE_EXCEEDED:
        return Failure(reason, f"not finished after {seconds:.0f} s (spec.deadlineSeconds)")
    return Failure(reason, f"the pod was told to end after {seconds:.0f} s: evicted, drained or deleted")


def _report(pod: Pod, draft: Draft, failure: Failure | None) -> AppBuildResult:
    if failure is not None:
        pod.tell(f"failed: {failure.reason}: {failure.message}")
    logs = pod.patiently(lambda: _store_log(pod))
    whole = failure is None
    result = AppBuildResult(
        build_id=pod.build_id,
        attempt=pod.number,
        outcome="Succeeded" if failure is None else "Failed",
        reason=contract.PUSHED if failure is None else failure.reason,
        message="" if failure is None else without_secrets(failure.message, pod.environment),
        logs=logs,
        image=draft.image if whole else None,
        digest=draft.digest if whole else None,
        base=draft.base,
        layers=draft.layers if whole else (),
        bytes_sent=draft.bytes_sent,
        attestation_bytes_sent=draft.attestation_bytes_sent,
        requirements=draft.requirements,
        sbom=draft.sbom if whole else None,
        rebased=draft.rebased and whole,
        attestations=draft.attestations if whole else (),
        source=draft.source,
        started_at=draft.started_at,
        finished_at=pod.clock(),
        timings=draft.timings,
    )
    standing: AppBuildResult = pod.patiently(lambda: pod.registry.write_result(pod.build_id, pod.number, result))
    times = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in standing.timings.items())
    pod.tell(f"result stored: {standing.outcome}" + (f" ({times})" if times else ""))
    return standing


def _store_log(pod: Pod) -> tuple[FileEntry, ...]:
    pod.log.close()
    path = pod.log.path
    if not path.exists() or not path.stat().st_size:
        return ()
    return (pod.registry.blobs.put_file(path, name=path.name, media_type="text/plain; charset=utf-8"),)
