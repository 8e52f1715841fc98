"""What the pods of a revision count, over a window of the recent past. Pure.

Counters only grow, so a window is the difference of two readings. Nothing is remembered in the process: readings that
windows begin with (`slipway.api.rollout.Mark`) stand in status, at most three for each length of window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from operator import sub

from prometheus_client.parser import text_string_to_metric_families

from slipway.api.rollout import Mark

MAX_PODS = 16
"""Pods of a revision that are read: a fair sample of them, so that status stays small whatever spec.replicas is."""
REQUESTS = "slipway_requests_total"
DURATION = "slipway_request_duration_seconds_bucket"
STARTED = "process_start_time_seconds"
DRIFT = "slipway_drift_psi_max"
PREDICTIONS = "slipway_prediction_psi"
DRIFT_ROWS = "slipway_drift_rows"
SHADOW_ROWS = "slipway_shadow_rows_total"
SHADOW_DISTANCE = "slipway_shadow_distance_total"
SHADOW_REQUESTS = "slipway_shadow_requests_total"
COMPARED = ("compared", "failed")
"""Results of copies that say something of the candidate; what was dropped or came late says nothing."""
INFERENCE = ("v2_infer", "v1_predict", "predict")
"""Endpoints that answer with a prediction; the others are probes and descriptions (docs/metrics.md)."""
DRIFT_WINDOWS = ((60, "1m"), (300, "5m"), (3600, "1h"))
"""Windows over which the model server itself compares its traffic with the training data."""


def drift_window(seconds: int) -> str:
    """The server's window for a gate's: the shortest that is as long."""
    return next((name for length, name in DRIFT_WINDOWS if length >= seconds), DRIFT_WINDOWS[-1][1])


@dataclass(frozen=True)
class Shift:
    """What a pod measured of its traffic against the training data over one of its windows; None: too few rows."""

    inputs: float | None = None
    predictions: float | None = None
    rows: int = 0


@dataclass(frozen=True)
class Copies:
    """What a pod of the stable revision counted of a candidate's answers to copies of requests."""

    requests: float = 0.0
    agreed: float = 0.0
    rows: float = 0.0
    distance: float = 0.0
    """Sum over rows of each one's mean absolute difference."""

    def since(self, before: Copies) -> Copies | None:
        """What came since `before`; None when a counter fell."""
        ours, theirs = astuple(self), astuple(before)
        return None if any(now < then for now, then in zip(ours, theirs, strict=True)) else Copies(*map(sub, ours, theirs))


@dataclass(frozen=True)
class PodSample:
    """Counters of one pod since its process started."""

    started: float
    """Time of the process's start in seconds since 1970; 0 when the pod does not say."""
    requests: float
    server_errors: float
    client_errors: float
    bounds: tuple[float, ...]
    """Upper bounds of the latency's buckets in seconds, ascending, the last one infinite."""
    buckets: tuple[float, ...]
    """Requests up to each bound."""
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    """Population stability indices by window, as far as the pod tells them."""
    copies: Copies | None = None
    """Of the candidate that was asked for, when the pod copied requests to it."""

    def encoded(self) -> str:
        """The counters as a mark keeps them; `_decoded` reads them back."""
        buckets = ",".join(f"{count:.0f}" for count in self.buckets)
        text = f"{self.started:.0f} {self.requests:.0f} {self.server_errors:.0f} {self.client_errors:.0f} {buckets}"
        return text if self.copies is None else f"{text} {','.join(f'{count:.6f}' for count in astuple(self.copies))}"


@dataclass(frozen=True)
class Totals:
    """What the pods of a revision answered within a window. `seconds`: how long it is in fact."""

    seconds: float = 0.0
    requests: float = 0.0
    server_errors: float = 0.0
    client_errors: float = 0.0
    bounds: tuple[float, ...] = ()
    buckets: tuple[float, ...] = ()
    copies: Copies = Copies()


def parse(text: str, candidate: str = "") -> PodSample | None:
    """A pod's counters out of its /metrics, with those about the revision `candidate`. None for what is not the text of a model
    server."""
    copies: Copies | None = None
    requests = server = client = started = 0.0
    buckets: dict[float, float] = {}
    shifts: dict[str, Shift] = {}
    known = False
    try:
        for family in text_string_to_metric_families(text):
            known = known or family.name.startswith("slipway_")
            for sample in family.samples:
                if sample.name == STARTED:
                    started = sample.value
                elif sample.name in (DRIFT, PREDICTIONS, DRIFT_ROWS):
                    window = sample.labels.get("window", "")
                    shifts[window] = _shifted(shifts.get(window, Shift()), sample.name, sample.value)
                elif candidate and sample.labels.get("candidate") == candidate:
                    copies = _copied(copies or Copies(), sample.name, sample.labels.get("result", ""), sample.value)
                elif sample.name == REQUESTS and _infers(sample.labels):
                    status = sample.labels.get("status", "")
                    requests += sample.value
                    server += sample.value if status.startswith("5") else 0.0
                    client += sample.value if status.startswith("4") else 0.0
                elif sample.name == DURATION and _infers(sample.labels):
                    bound = float(sample.labels["le"])
                    buckets[bound] = buckets.get(bound, 0.0) + sample.value
    except (ValueError, KeyError):
        return None
    if not known:
        return None
    bounds = tuple(sorted(buckets))
    return PodSample(started, requests, server, client, bounds, tuple(buckets[b] for b in bounds), shifts, copies)


def _infers(labels: Mapping[str, str]) -> bool:
    return labels.get("endpoint", "") in INFERENCE


def _copied(before: Copies, name: str, result: str, value: float) -> Copies:
    if name == SHADOW_DISTANCE:
        return replace(before, distance=value)
    if name == SHADOW_REQUESTS:
        return replace(before, requests=before.requests + value) if result in COMPARED else before
    if name == SHADOW_ROWS:
        agreed = value if result == "agree" else before.agreed
        return replace(before, rows=before.rows + value, agreed=agreed)
    return before


def _shifted(before: Shift, name: str, value: float) -> Shift:
    if name == DRIFT_ROWS:
        return replace(before, rows=int(value))
    if name == DRIFT:
        return replace(before, inputs=max(value, before.inputs or 0.0))
    return replace(before, predictions=max(value, before.predictions or 0.0))


def window_of(marks: Sequence[Mark], window: int, samples: Mapping[str, PodSample], now: datetime) -> Totals | None:
    """What was answered since the oldest mark within `window` seconds. None when no pod can be compared with anything: that is
    no data, and not zero."""
    mark = next(iter(_of(marks, window, now)), None)
    if mark is None and samples and _unmoved(marks, window, samples) is not None:
        return Totals(seconds=window)
    since = mark.at if mark is not None else now - timedelta(seconds=window)
    parts = []
    for pod, sample in samples.items():
        part = _grown(sample, mark.pods.get(pod) if mark else None, since)
        if part is not None:
            parts.append(part)
    if not parts:
        return None
    return _sum(parts, (now - since).total_seconds())


def advanced(marks: Sequence[Mark], windows: Iterable[int], samples: Mapping[str, PodSample], now: datetime) -> tuple[Mark, ...]:
    """The marks to keep: a new one for each window whose newest is half a window old. A reading that failed makes none, and
    counters that have not moved make none either: the mark that they had says the same, however old."""
    kept: list[Mark] = []
    pods = {pod: sample.encoded() for pod, sample in sorted(samples.items())}
    for window in sorted(set(windows)):
        present = _of(marks, window, now)
        if (same := _unmoved(marks, window, samples)) is not None:
            present = present or [same]
        elif pods and (not present or (now - present[-1].at).total_seconds() >= window / 2):
            present = [*present, Mark(window=window, at=now.replace(microsecond=0), pods=pods)]
        kept += present
    return tuple(kept)


def _unmoved(marks: Iterable[Mark], window: int, samples: Mapping[str, PodSample]) -> Mark | None:
    """The newest mark for `window`, when no counter has moved since."""
    newest = max((mark for mark in marks if mark.window == window), key=lambda mark: mark.at, default=None)
    pods = {pod: sample.encoded() for pod, sample in samples.items()}
    return newest if newest is not None and newest.pods == pods else None


def _of(marks: Iterable[Mark], window: int, now: datetime) -> list[Mark]:
    """Marks for `window` that are not older than it, oldest first."""
    young = (mark for mark in marks if mark.window == window and 0 <= (now - mark.at).total_seconds() <= window)
    return sorted(young, key=lambda mark: mark.at)


def _grown(sample: PodSample, before: str | None, since: datetime) -> Totals | None:
    """What a pod counted since `since`; None when that cannot be told."""
    if sample.started and sample.started >= since.timestamp():
        # A process that started within the window: all that it counted belongs to it. What the one before it counted
        # after its last reading is lost, and is not taken for zero requests: it is no data.
        counts = (sample.requests, sample.server_errors, sample.client_errors)
        return Totals(0, *counts, sample.bounds, sample.buckets, sample.copies or Copies())
    old = _decoded(before) if before else None
    if old is None:
        return None
    started, counts, buckets, copies = old
    fresh = (sample.requests, sample.server_errors, sample.client_errors)
    if round(started) != round(sample.started) or any(now < then for now, then in zip(fresh, counts, strict=True)):
        return None
    # Copies that a mark does not know began after it.
    copied = (sample.copies or Copies()).since(copies) if sample.copies is not None else Copies()
    if copied is None:
        return None
    grown = _difference(sample.buckets, buckets)
    requests, server, client = (now - then for now, then in zip(fresh, counts, strict=True))
    return Totals(0, requests, server, client, sample.bounds if grown else (), grown, copied)


def _difference(fresh: tuple[float, ...], before: tuple[float, ...]) -> tuple[float, ...]:
    """Growth of each bucket. A histogram that appeared after the mark began at zero; one of other bounds says nothing."""
    if not before:
        return fresh
    if len(fresh) != len(before) or any(now < then for now, then in zip(fresh, before, strict=True)):
        return ()
    return tuple(now - then for now, then in zip(fresh, before, strict=True))


def _decoded(text: str) -> tuple[float, tuple[float, float, float], tuple[float, ...], Copies] | None:
    try:
        started, requests, server, client, *rest = text.split(" ")
        buckets = tuple(float(count) for count in rest[0].split(",")) if rest and rest[0] else ()
        copies = Copies(*map(float, rest[1].split(","))) if len(rest) > 1 else Copies()
        return float(started), (float(requests), float(server), float(client)), buckets, copies
    except (ValueError, TypeError):
        return None


def _sum(parts: list[Totals], seconds: float) -> Totals:
    histograms = [part for part in parts if part.buckets]
    bounds = histograms[0].bounds if histograms else ()
    alike = [part.buckets for part in histograms if part.bounds == bounds]
    return Totals(
        seconds=seconds,
        requests=sum(part.requests for part in parts),
        server_errors=sum(part.server_errors for part in parts),
        client_errors=sum(part.client_errors for part in parts),
        bounds=bounds,
        buckets=tuple(sum(column) for column in zip(*alike, strict=True)),
        copies=Copies(*(sum(column) for column in zip(*(astuple(part.copies) for part in parts), strict=True))),
    )


def quantile(totals: Totals, q: float) -> float | None:
    """Latency in seconds that a share `q` of the requests stayed within, interpolated within its bucket as Prometheus'
    histogram_quantile does; the last finite bound when it lies beyond. None without requests."""
    total = totals.buckets[-1] if totals.buckets else 0.0
    if total <= 0:
        return None
    rank = q * total
    edges = [(0.0, 0.0), *zip(totals.bounds, totals.buckets, strict=True)]
    for (low, below), (high, upto) in pairwise(edges):
        if upto >= rank:
            if high == float("inf"):
                return low
            return low + (high - low) * ((rank - below) / (upto - below) if upto > below else 1.0)
    return totals.bounds[-2] if len(totals.bounds) > 1 else None
