"""Which runs of a ModelBuild began or ended with a change of its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from slipway.api.model_build_status import Build
from slipway.controllers.model_build.observed import Observed
from slipway.reconcile.runs import Dataset, RunEvent, RunState
from slipway.registry.records import VersionRecord
from slipway.sources.pinned import PinnedInput


def run_events(
    observed: Observed, old: Build | None, new: Mapping[str, Any] | None, record: VersionRecord | None, now: datetime
) -> tuple[RunEvent, ...]:
    """`new` is ``status.build`` as it will be. An attempt of 0 is a version that was found: nothing ran for it."""
    if not new or not new.get("attempt"):
        return ()
    before = (old.id, old.attempt, old.outcome) if old else None
    this = (new["id"], new["attempt"], new.get("outcome"))
    if before == this or (old is not None and old.id == new["id"] and (old.attempt or 0) > new["attempt"]):
        return ()
    event = _event(observed, RunState.START, new, now)
    if this[2] == "Running":
        return (event,)
    # An attempt that ended before anybody saw it run has its start told now: an end without one is dropped by some receivers.
    known = before is not None and before[:2] == this[:2]
    started = () if known else (replace(event, at=_time(new.get("startedAt")) or now),)
    ended = replace(event, at=_time(new.get("finishedAt")) or now)
    if this[2] == "Failed":
        failure = new.get("failure") or {}
        return (
            *started,
            replace(ended, state=RunState.FAIL, reason=failure.get("reason", ""), message=failure.get("message", "")),
        )
    outputs = (_output(observed, record),) if record is not None else ()
    reported = _reported(record) if record is not None else event.inputs
    return (*started, replace(ended, state=RunState.COMPLETE, inputs=reported or event.inputs, outputs=outputs))


def _event(observed: Observed, state: RunState, new: Mapping[str, Any], now: datetime) -> RunEvent:
    meta = observed.build.metadata
    source = observed.pinned.source if observed.pinned else (observed.request.source if observed.request else None)
    inputs = observed.pinned.inputs if observed.pinned else (observed.request.inputs if observed.request else ())
    return RunEvent(
        state=state,
        at=now,
        build_id=new["id"],
        attempt=new["attempt"],
        namespace=meta.namespace,
        job=meta.name,
        inputs=tuple(_asked(entry) for entry in inputs),
        source=source.uri if source else "",
        commit=source.git.commit if source and source.git else "",
    )


def _asked(entry: PinnedInput) -> Dataset:
    return Dataset(*_place(entry.uri), version=entry.digest, size=entry.size)


def _reported(record: VersionRecord) -> tuple[Dataset, ...]:
    return tuple(Dataset(*_place(entry.uri), version=entry.digest, rows=entry.rows, size=entry.size) for entry in record.inputs)


def _output(observed: Observed, record: VersionRecord) -> Dataset:
    size = sum(entry.size for entry in record.files)
    store, prefix = _place(observed.installation.pods.registry)
    name = "/".join(part for part in (prefix.strip("/"), "models", record.model) if part)
    return Dataset(store, name, version=str(record.version), size=size)


def _place(uri: str) -> tuple[str, str]:
    """``s3://bucket/key`` as OpenLineage names it: the bucket is the namespace."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key or "/"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
