"""Gates of a roll-out: from what was measured to a verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from slipway.api.rollout import AgreementGate, Compare, GateVerdict, Mark, RolloutGate, seconds_of
from slipway.controllers.model_deployment.samples import PodSample, Totals, drift_window, quantile, window_of


@dataclass(frozen=True)
class Measured:
    """A number and over how many requests it is, or why there is none."""

    value: float | None
    requests: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Side:
    """Readings of one revision's pods by pod name, and the marks that earlier ones left; `answers` are Prometheus', by the
    gate's name."""

    samples: Mapping[str, PodSample] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    answers: Mapping[str, Measured] = field(default_factory=dict)


@dataclass(frozen=True)
class Readings:
    """All that was measured at one time. `stable` is read for gates that compare with it."""

    judged: Side
    stable: Side = field(default_factory=Side)


def windows(gates: Iterable[RolloutGate]) -> tuple[int, ...]:
    """The different windows of gates that look at counters, in seconds."""
    return tuple(sorted({seconds_of(gate.window) for gate in gates if gate.error_rate or gate.latency or gate.agreement}))


def judge(gate: RolloutGate, readings: Readings, before: GateVerdict | None, now: datetime) -> GateVerdict:
    """The verdict of now. `before` is the last one of this gate: since when it is so."""
    measured = _measure(gate, _side_of(gate, readings), now)
    if measured.value is not None and _counts(gate, measured) and measured.requests < gate.min_requests:
        measured = Measured(None, measured.requests, f"{measured.requests} of {gate.min_requests} requests in the window")
    if measured.value is None:
        return _verdict(gate, "NoData", measured, measured.problem, before, now)
    failed, words = _bounds(gate, measured)
    if not failed and gate.compare is not None:
        stable = _measure(gate, readings.stable, now)
        if stable.value is None or stable.requests < gate.min_requests:
            return _verdict(gate, "NoData", measured, "the stable revision has too few requests to compare with", before, now)
        failed, words = _compared(gate.compare, gate, measured, stable.value)
    return _verdict(gate, "Fail" if failed else "Pass", measured, words, before, now)


def _counts(gate: RolloutGate, measured: Measured) -> bool:
    """Whether the gate is about requests that can be counted; Prometheus' drift is not."""
    shift = gate.drift is not None or gate.prediction_mix is not None
    return gate.promql is None and not (shift and measured.requests == 0)


def _side_of(gate: RolloutGate, readings: Readings) -> Side:
    """Agreement is counted by the pods that make the copies, unless Prometheus has collected it."""
    copied = gate.agreement is not None and gate.name not in readings.judged.answers
    return readings.stable if copied else readings.judged


def _measure(gate: RolloutGate, side: Side, now: datetime) -> Measured:
    if gate.name in side.answers:
        return side.answers[gate.name]
    if gate.promql is not None:
        return Measured(None, 0, "this installation names no Prometheus (chart value prometheus.url)")
    if gate.drift is not None or gate.prediction_mix is not None:
        return _shift(gate, side)
    totals = window_of(side.marks, seconds_of(gate.window), side.samples, now)
    if totals is None:
        return Measured(None, 0, "no pod could be read" if not side.samples else "the window begins with this reading")
    if gate.latency is not None:
        value = quantile(totals, gate.latency.quantile)
        return Measured(value * 1000 if value is not None else None, int(totals.requests), "no request in the window")
    if gate.agreement is not None:
        return _agreement(gate.agreement, totals)
    return _error_rate(gate, totals)


def _agreement(gate: AgreementGate, totals: Totals) -> Measured:
    copies = totals.copies
    if copies.rows <= 0:
        return Measured(None, 0, "no answer of the candidate was compared in the window")
    value = copies.agreed / copies.rows if gate.min is not None else copies.distance / copies.rows
    return Measured(value, int(copies.requests))


def _shift(gate: RolloutGate, side: Side) -> Measured:
    """The largest index of any pod: each compares its own traffic with the training data."""
    name = drift_window(seconds_of(gate.window))
    shifts = [sample.shifts[name] for sample in side.samples.values() if name in sample.shifts]
    values = [shift.inputs if gate.drift is not None else shift.predictions for shift in shifts]
    known = [value for value in values if value is not None]
    rows = sum(shift.rows for shift, value in zip(shifts, values, strict=True) if value is not None)
    return Measured(max(known), rows) if known else Measured(None, 0, f"no pod compared enough rows with training ({name})")


def _error_rate(gate: RolloutGate, totals: Totals) -> Measured:
    assert gate.error_rate is not None
    if totals.requests <= 0:
        return Measured(None, 0, "no request in the window")
    failed = totals.server_errors + (totals.client_errors if gate.error_rate.count_client_errors else 0.0)
    return Measured(failed / totals.requests, int(totals.requests))


def _bounds(gate: RolloutGate, measured: Measured) -> tuple[bool, str]:
    """Whether a bound of the gate itself is broken, and the comparison in words."""
    value = measured.value
    assert value is not None
    name, over = label(gate), f" over {measured.requests} requests"
    if gate.promql is not None:
        low, high = gate.promql.min, gate.promql.max
        if low is not None and not value >= low:
            return True, f"{name} {value:g} < {low:g}"
        return _above(name, value, high, "", "")
    if gate.agreement is not None and gate.agreement.min is not None:
        broken = not value >= gate.agreement.min
        return broken, f"{name} {value:.4g} {'<' if broken else '>='} {gate.agreement.min:g}{over}"
    if gate.agreement is not None:
        return _above(name, value, gate.agreement.max_distance, "", over)
    if gate.latency is not None:
        return _above(name, value, gate.latency.max_milliseconds, " ms", over)
    shift = gate.drift or gate.prediction_mix
    if shift is not None:
        return _above(name, value, shift.max_psi, "", f" over {measured.requests} rows")
    return _above(name, value, gate.error_rate.max if gate.error_rate else None, "", over)


def _above(name: str, value: float, bound: float | None, unit: str, over: str) -> tuple[bool, str]:
    if bound is None:
        return False, f"{name} {value:.4g}{unit}{over}"
    broken = not value <= bound  # a NaN breaks every bound
    return broken, f"{name} {value:.4g}{unit} {'>' if broken else '<='} {bound:g}{unit}{over}"


def _compared(compare: Compare, gate: RolloutGate, measured: Measured, stable: float) -> tuple[bool, str]:
    value = measured.value
    assert value is not None
    unit = " ms" if gate.latency is not None else ""
    words = f"{label(gate)} {value:.4g}{unit}, stable {stable:.4g}{unit}"
    if compare.max_difference is not None and not value <= stable + compare.max_difference:
        return True, f"{words}: more than {compare.max_difference:g}{unit} above over {measured.requests} requests"
    if compare.max_ratio is not None and not value <= stable * compare.max_ratio:
        return True, f"{words}: more than {compare.max_ratio:g} times as much over {measured.requests} requests"
    return False, f"{words} over {measured.requests} requests"


def label(gate: RolloutGate) -> str:
    """What a gate measures, in a word."""
    if gate.latency is not None:
        return f"latency p{gate.latency.quantile * 100:g}"
    if gate.promql is not None:
        return f"query {gate.name}"
    if gate.prediction_mix is not None:
        return "prediction PSI"
    if gate.agreement is not None:
        return "agreement" if gate.agreement.min is not None else "distance of answers"
    return "drift PSI" if gate.drift is not None else "error rate"


def _verdict(
    gate: RolloutGate, verdict: str, measured: Measured, words: str, before: GateVerdict | None, now: datetime
) -> GateVerdict:
    at = now.replace(microsecond=0)
    same = before is not None and before.verdict == verdict
    return GateVerdict.model_validate(
        {
            "name": gate.name,
            "verdict": verdict,
            "value": f"{measured.value:.4g}" if measured.value is not None else None,
            "requests": measured.requests if gate.promql is None else None,
            "message": words,
            "at": at,
            "since": before.since if same and before is not None else at,
        }
    )


def blocking(gate: RolloutGate, verdict: GateVerdict) -> bool:
    """Whether the roll-out waits for this gate to have data."""
    return verdict.verdict == "NoData" and gate.on_no_data == "Hold"


def failing(gate: RolloutGate, verdict: GateVerdict, now: datetime) -> bool:
    """Whether this gate takes the revision back. One that fails without data gives a window's time for some to come."""
    if verdict.verdict == "Fail":
        return True
    if verdict.verdict != "NoData" or gate.on_no_data != "Fail" or verdict.since is None:
        return False
    return (now - verdict.since).total_seconds() >= seconds_of(gate.window)
