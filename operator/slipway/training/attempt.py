"""One attempt, from request to result: fetch, train, collect, report.

Whatever happens ends in one `AttemptResult`; blobs are stored first and the result last, so that a result never names
what is not there. The first result of an attempt stands: a pod that is started again finds it and goes by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from slipway.registry.records import AttemptResult, Document, Environment, FileEntry, InputRecord, SourceRecord
from slipway.registry.registry import Registry, attempt_prefix
from slipway.storage import Stores, lazily
from slipway.training import cgroup, contract
from slipway.training.collect import Extras, LocalFile, Results, read_extras, read_model, store
from slipway.training.contract import BuildRequest
from slipway.training.environment import capture
from slipway.training.errors import TrainingError
from slipway.training.failures import Failure, failure_of, patiently, without_secrets
from slipway.training.layout import ChildInput, ChildTask, Workspace
from slipway.training.log import LogFile, every, size_text
from slipway.training.params import Params
from slipway.training.process import GRACE_SECONDS, Ended, Stop, Stopped, run_child, until_stopped

T = TypeVar("T")
FETCH_PATIENCE = 60.0
"""Seconds for which a store that does not answer is asked again before the training."""
STORE_PATIENCE = 300.0
"""The same after it, when there is something to lose."""
_PROGRESS_STEP = 256 << 20


class Fetched(Document):
    """What the fetching container found; kept beside the request, where the user's container cannot write."""

    started_at: datetime
    fetched_at: datetime
    seconds: float
    source: SourceRecord
    inputs: tuple[InputRecord, ...] = ()


@dataclass
class Pod:
    """What a phase works with. Times are in seconds."""

    registry: Registry
    stores: Callable[[], Stores]
    build_id: str
    number: int
    workspace: Workspace
    environment: Mapping[str, str]
    log: LogFile
    stop: Stop = field(default_factory=Stop)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    cgroup_root: Path = cgroup.ROOT
    grace_seconds: float = GRACE_SECONDS

    def tell(self, text: str) -> None:
        self.log.line(without_secrets(text, self.environment))


@dataclass
class Draft:
    """A result in the making: what is known so far."""

    started_at: datetime
    source: SourceRecord | None = None
    inputs: tuple[InputRecord, ...] = ()
    environment: Environment = field(default_factory=Environment)
    params: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def run(pod: Pod) -> AttemptResult:
    """The whole attempt in one container, for requests with an entrypoint. Raises only the store's errors, when not
    even the result could be written."""
    done = _already(pod)
    if done is not None:
        return done
    draft = Draft(pod.clock())
    began = time.monotonic()
    try:
        request = _request(pod, draft)
        _fetch(pod, request, draft, began)
        ended, draft.environment = _train(pod, request, draft, began)
    except Exception as error:  # whatever failed is told in the result
        return _report(pod, draft, _failure(pod, error, began))
    failure = Failure(ended.reason, ended.message) if ended.reason else None
    return _report(pod, draft, failure, keep=True, trusted=request.trusted_types)


def fetch(pod: Pod) -> AttemptResult | None:
    """The first container of the file contract: brings source, inputs and parameters. None when all went well, else the
    failed result."""
    done = _already(pod)
    if done is not None:
        return done
    draft = Draft(pod.clock())
    began = time.monotonic()
    try:
        request = _request(pod, draft)
        _fetch(pod, request, draft, began)
        assert draft.source is not None
        fetched = Fetched(
            started_at=draft.started_at,
            fetched_at=pod.clock(),
            seconds=draft.timings["fetch"],
            source=draft.source,
            inputs=draft.inputs,
        )
        pod.registry.store.put(_fetched_key(pod), fetched.to_json(), content_type="application/json")
    except Exception as error:  # whatever failed is told in the result
        return _report(pod, draft, _failure(pod, error, began))
    return None


def collect(pod: Pod) -> AttemptResult:
    """The last container of the file contract: keeps what the user's container left."""
    from slipway.registry.documents import read

    done = _already(pod)
    if done is not None:
        return done
    draft = Draft(pod.clock())
    try:
        request = _request(pod, draft)
        fetched = patiently(
            lambda: read(pod.registry.store, _fetched_key(pod), Fetched), seconds=FETCH_PATIENCE, tell=pod.tell, sleep=pod.sleep
        )
        if fetched is not None:
            draft.started_at, draft.source, draft.inputs = fetched.started_at, fetched.source, fetched.inputs
            draft.timings["fetch"] = fetched.seconds
            draft.timings["train"] = round(max(0.0, (pod.clock() - fetched.fetched_at).total_seconds()), 3)
    except Exception as error:  # whatever failed is told in the result
        return _report(pod, draft, _failure(pod, error, time.monotonic()))
    # The user's packages are not ours to list: their image says what it holds.
    draft.environment = Environment(image=request.image or None)
    return _report(pod, draft, None, keep=True, trusted=request.trusted_types)


def _already(pod: Pod) -> AttemptResult | None:
    result = patiently(
        lambda: pod.registry.read_attempt(pod.build_id, pod.number), seconds=FETCH_PATIENCE, tell=pod.tell, sleep=pod.sleep
    )
    if result is not None:
        pod.tell(f"this attempt has ended before: {result.outcome}, {result.reason}")
    return result


def _request(pod: Pod, draft: Draft) -> BuildRequest:
    request = pod.registry.read_request(pod.build_id, pod.number, BuildRequest)
    if request is None:
        where = f"{pod.registry.store.uri}/{attempt_prefix(pod.build_id, pod.number)}request.json"
        raise TrainingError(
            f"there is no request at {where}: SLIPWAY_ATTEMPT or SLIPWAY_REGISTRY is wrong", reason=contract.POD_FAILED
        )
    draft.params = dict(Params(request.params))
    return request


def _fetch(pod: Pod, request: BuildRequest, draft: Draft, began: float) -> None:
    """Source, inputs and parameters, into the workspace."""
    from slipway.sources.fetch import fetch_inputs, fetch_source
    from slipway.training.feature_inputs import fetch_features

    space = pod.workspace
    space.make()
    started = time.monotonic()
    stores = lazily(pod.stores)

    def source() -> SourceRecord:
        return fetch_source(request.source, space.source, stores, pod.registry.blobs)

    def inputs() -> tuple[InputRecord, ...]:
        plain = [entry for entry in request.inputs if entry.s3 is not None]
        total = sum(entry.size for entry in plain)
        progress = every(_PROGRESS_STEP, lambda done: pod.tell(f"{size_text(done)} of {size_text(total)} fetched"))
        records = fetch_inputs(plain, space.inputs, stores, progress)
        features = [entry for entry in request.inputs if entry.s3 is None]
        return (*records, *fetch_features(features, space.inputs, pod.registry, stores)) if features else records

    def both() -> None:
        draft.source = patiently(source, seconds=FETCH_PATIENCE, tell=pod.tell, sleep=pod.sleep)
        pod.tell(f"source {request.source.uri} fetched")
        draft.inputs = patiently(inputs, seconds=FETCH_PATIENCE, tell=pod.tell, sleep=pod.sleep)
        for record in draft.inputs:
            rows = "" if record.rows is None else f", {record.rows} rows"
            pod.tell(f"input {record.name}: {record.uri} fetched ({size_text(record.size)}{rows})")

    until_stopped(both, pod.stop, _remaining(request, began))
    space.params.write_bytes(_json(draft.params))
    draft.timings["fetch"] = round(time.monotonic() - started, 3)


def _train(pod: Pod, request: BuildRequest, draft: Draft, began: float) -> tuple[Ended, Environment]:
    """Runs the entrypoint in a process of its own; meanwhile lists this environment."""
    if request.entrypoint is None:
        raise TrainingError("the request names no entrypoint: containers of the user's own run between fetch and collect")
    by_name = {record.name: record for record in draft.inputs}
    code = Path.cwd() if request.source.kind == "image" else pod.workspace.source
    task = ChildTask(
        entrypoint=request.entrypoint,
        source=str(code),
        params=draft.params,
        inputs={name: ChildInput(uri=record.uri, digest=record.digest, rows=record.rows) for name, record in by_name.items()},
        trusted_types=request.trusted_types,
    )
    pod.workspace.task.write_bytes(task.to_json())
    given = ", ".join(f"{name}={value}" for name, value in draft.params.items())
    pod.tell(f"training: {request.entrypoint}({given})")
    with ThreadPoolExecutor(1) as pool:
        environment = pool.submit(capture, request.image)
        ended = run_child(
            pod.workspace,
            pod.environment,
            pod.log,
            source=code,
            stop=pod.stop,
            deadline_seconds=_remaining(request, began),
            grace_seconds=pod.grace_seconds,
            cgroup_root=pod.cgroup_root,
        )
        draft.timings["train"] = round(ended.seconds, 3)
        if ended.reason == contract.DEADLINE_EXCEEDED and request.deadline_seconds is not None:
            # The child had what fetching left of it; people know the number that they wrote.
            words = f"the attempt did not end within its {request.deadline_seconds:.0f} s (deadlineSeconds)"
            ended = Ended(ended.reason, words, ended.seconds)
        return ended, environment.result()


def _report(
    pod: Pod, draft: Draft, failure: Failure | None, *, keep: bool = False, trusted: tuple[str, ...] = ()
) -> AttemptResult:
    """Checks what the run left (if `keep`), stores it, and writes the result: blobs first, the result last."""
    results, extras = None, Extras()
    if keep:
        try:
            extras = read_extras(pod.workspace.output)
            results = read_model(pod.workspace.output, trusted) if failure is None else None
            results = _with_reference(pod, draft, results) if results is not None else None
        except Exception as error:  # what the user's code wrote can be wrong in any way
            failure = failure or failure_of(error)
    if results is not None and "train" in draft.timings and results.convert_seconds:
        draft.timings["train"] = round(max(0.0, draft.timings["train"] - results.convert_seconds), 3)
        draft.timings["convert"] = results.convert_seconds
    if failure is not None:
        pod.tell(f"failed: {failure.reason}: {failure.message}")
    started = time.monotonic()
    log = _close_log(pod)
    files, reports, logs = patiently(
        lambda: _store(pod, results, extras, log), seconds=STORE_PATIENCE, tell=pod.tell, sleep=pod.sleep
    )
    draft.timings["upload"] = round(time.monotonic() - started, 3)
    result = AttemptResult(
        build_id=pod.build_id,
        attempt=pod.number,
        outcome="Succeeded" if failure is None else "Failed",
        reason=contract.TRAINED if failure is None else failure.reason,
        message="" if failure is None else without_secrets(failure.message, pod.environment),
        files=files,
        format=results.format if results else None,
        signature=results.signature if results else None,
        conversion=results.conversion if results else None,
        params=draft.params,
        metrics=extras.metrics,
        reports=reports,
        logs=logs,
        environment=draft.environment,
        inputs=draft.inputs,
        source=draft.source,
        started_at=draft.started_at,
        finished_at=pod.clock(),
        timings=draft.timings,
    )
    standing = patiently(lambda: pod.registry.write_attempt(result), seconds=STORE_PATIENCE, tell=pod.tell, sleep=pod.sleep)
    pod.tell(f"result stored: {standing.outcome}{_times(standing)}")
    return standing


def _with_reference(pod: Pod, draft: Draft, results: Results) -> Results:
    """With the reference for drift that follows from the features that were read, if any."""
    if all(record.features is None for record in draft.inputs):
        return results
    from slipway.training.feature_reference import with_feature_reference

    try:
        return with_feature_reference(results, draft.inputs, pod.workspace.inputs, pod.workspace.output.model)
    except Exception as error:  # a help for watching, and no reason to lose a model
        pod.tell(f"no reference for drift from the features: {type(error).__name__}: {error}")
        return results


def _store(pod: Pod, results: Results | None, extras: Extras, log: tuple[LocalFile, ...]) -> tuple[tuple[FileEntry, ...], ...]:
    """Model files, reports and log as blobs, all at once."""
    model = results.model if results else ()
    groups = (model, extras.reports, log)
    total = sum(file.size for group in groups for file in group)
    progress = every(_PROGRESS_STEP, lambda done: pod.tell(f"{size_text(done)} of {size_text(total)} stored"))
    entries = iter(store(tuple(file for group in groups for file in group), pod.registry.blobs, progress))
    if results:
        names = ", ".join(f"{file.name} ({size_text(file.size)})" for file in model[:3])
        pod.tell(f"model stored: {names}{' and more' if len(model) > 3 else ''}")
    return tuple(tuple(next(entries) for _ in group) for group in groups)


def _close_log(pod: Pod) -> tuple[LocalFile, ...]:
    pod.log.close()
    path = pod.log.path
    return (LocalFile(path, path.name, "text/plain; charset=utf-8"),) if path.exists() and path.stat().st_size else ()


def _failure(pod: Pod, error: Exception, began: float) -> Failure:
    if isinstance(error, Stopped):
        return Failure(str(error.args[0]), f"ended after {time.monotonic() - began:.0f} s, while code and data were fetched")
    return failure_of(error)


def _remaining(request: BuildRequest, began: float) -> float | None:
    if request.deadline_seconds is None:
        return None
    return max(0.0, request.deadline_seconds - (time.monotonic() - began))


def _fetched_key(pod: Pod) -> str:
    return f"{attempt_prefix(pod.build_id, pod.number)}fetched.json"


def _json(value: Mapping[str, Any]) -> bytes:
    from slipway.registry.records import canonical_json

    return canonical_json(value)


def _times(result: AttemptResult) -> str:
    known: Iterable[str] = (f"{step} {seconds:.1f} s" for step, seconds in result.timings.items())
    text = ", ".join(known)
    return f" ({text})" if text else ""
