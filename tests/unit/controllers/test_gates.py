"""Verdicts: what is measured against what a gate asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.api.rollout import GateVerdict, Mark, RolloutGate
from slipway.controllers.model_deployment.gates import Measured, Readings, Side, failing, judge
from slipway.controllers.model_deployment.promql import queries
from slipway.controllers.model_deployment.samples import PodSample, parse
from tests.fakes.scraper import Behaviour, page

NOW = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)
STARTED = (NOW - timedelta(seconds=50)).timestamp()


def gate(**fields: Any) -> RolloutGate:
    return RolloutGate.model_validate({"name": "g"} | fields)


ERRORS = gate(errorRate={"max": 0.05}, minRequests=50)


def side(*pods: Behaviour, marks: tuple[Mark, ...] = ()) -> Side:
    """Pods that started 50 s ago and have behaved so since."""
    samples = {f"p{n}": parse(page(behaviour, 50, STARTED)) for n, behaviour in enumerate(pods)}
    return Side({name: sample for name, sample in samples.items() if isinstance(sample, PodSample)}, marks)


def copied(agreed: int, rows: int, distance: float = 0.0, late: int = 0) -> Side:
    """A pod of the stable revision that started 50 s ago and has copied requests to candidate r2; others to r1 before."""
    text = page(Behaviour(), 50, STARTED)
    for name, value in (
        ('slipway_shadow_requests_total{candidate="r2",result="compared"}', rows),
        ('slipway_shadow_requests_total{candidate="r2",result="late"}', late),
        ('slipway_shadow_rows_total{candidate="r2",result="agree"}', agreed),
        ('slipway_shadow_rows_total{candidate="r2",result="disagree"}', rows - agreed),
        ('slipway_shadow_distance_total{candidate="r2"}', distance),
        ('slipway_shadow_rows_total{candidate="r1",result="disagree"}', 1000),
    ):
        text += f"{name} {value}\n"
    sample = parse(text, "r2")
    assert sample is not None
    return Side({"p": sample})


SAME = gate(agreement={"min": 0.95}, minRequests=20)
NEAR = gate(agreement={"maxDistance": 0.1}, minRequests=20)


def drifted(inputs: float, predictions: float) -> Side:
    """One pod that has compared 500 rows of the last minute with training."""
    text = "\n".join(
        (
            f'slipway_drift_psi_max{{model="m",version="2",window="1m"}} {inputs}',
            f'slipway_prediction_psi{{model="m",version="2",output="y",window="1m"}} {predictions}',
            'slipway_drift_rows{model="m",version="2",window="1m"} 500',
        )
    )
    sample = parse(text + "\n")
    assert sample is not None
    return Side({"p": sample})


CASES: list[tuple[str, RolloutGate, Readings, str]] = [
    ("answers agree", SAME, Readings(side(Behaviour()), copied(96, 100)), "Pass"),
    ("answers do not agree", SAME, Readings(side(Behaviour()), copied(94, 100)), "Fail"),
    ("too few answers were compared", SAME, Readings(side(Behaviour()), copied(0, 19)), "NoData"),
    ("all copies came late", SAME, Readings(side(Behaviour()), copied(0, 0, late=500)), "NoData"),
    ("the pods that copy cannot be read", SAME, Readings(side(Behaviour())), "NoData"),
    (
        "one pod of two disagrees",
        SAME,
        Readings(side(), Side({**copied(100, 100).samples, "q": copied(80, 100).samples["p"]})),
        "Fail",
    ),
    ("numbers are near", NEAR, Readings(side(), copied(0, 100, 9.0)), "Pass"),
    ("numbers are far", NEAR, Readings(side(), copied(100, 100, 11.0)), "Fail"),
    ("few errors", ERRORS, Readings(side(Behaviour(errors=0.04))), "Pass"),
    ("many errors", ERRORS, Readings(side(Behaviour(errors=0.06))), "Fail"),
    ("errors of one pod of two", ERRORS, Readings(side(Behaviour(), Behaviour(errors=0.5))), "Fail"),
    ("client errors do not count", ERRORS, Readings(side(Behaviour(client_errors=0.9))), "Pass"),
    (
        "client errors count when the gate says so",
        gate(errorRate={"max": 0.05, "countClientErrors": True}),
        Readings(side(Behaviour(client_errors=0.9))),
        "Fail",
    ),
    ("too few requests", ERRORS, Readings(side(Behaviour(rate=0.9, errors=1.0))), "NoData"),
    ("no requests", ERRORS, Readings(side(Behaviour(rate=0))), "NoData"),
    ("no pod could be read", ERRORS, Readings(Side()), "NoData"),
    ("fast", gate(latency={"maxMilliseconds": 50}), Readings(side(Behaviour(latency=0.04))), "Pass"),
    ("slow", gate(latency={"maxMilliseconds": 50}), Readings(side(Behaviour(latency=0.09))), "Fail"),
    ("slower than every bucket", gate(latency={"maxMilliseconds": 50}), Readings(side(Behaviour(latency=9))), "Fail"),
    ("latency without requests", gate(latency={"maxMilliseconds": 50}), Readings(side(Behaviour(rate=0))), "NoData"),
    (
        "as bad as stable",
        gate(errorRate={}, compare={"maxDifference": 0.01}),
        Readings(side(Behaviour(errors=0.5)), side(Behaviour(errors=0.5))),
        "Pass",
    ),
    (
        "worse than stable",
        gate(errorRate={}, compare={"maxDifference": 0.01}),
        Readings(side(Behaviour(errors=0.5)), side(Behaviour(errors=0.4))),
        "Fail",
    ),
    (
        "twice as slow as stable",
        gate(latency={"quantile": 0.5}, compare={"maxRatio": 1.5}),
        Readings(side(Behaviour(latency=0.4)), side(Behaviour(latency=0.004))),
        "Fail",
    ),
    (
        "stable cannot be read",
        gate(errorRate={}, compare={"maxDifference": 0.01}),
        Readings(side(Behaviour(errors=0.5)), Side()),
        "NoData",
    ),
    (
        "over its own bound, whatever stable does",
        gate(errorRate={"max": 0.1}, compare={"maxDifference": 1.0}),
        Readings(side(Behaviour(errors=0.5)), side(Behaviour(errors=0.5))),
        "Fail",
    ),
    ("pods that measure no drift", gate(drift={"maxPSI": 0.2}), Readings(side(Behaviour())), "NoData"),
    ("little drift", gate(drift={"maxPSI": 0.2}), Readings(drifted(0.1, 0.9)), "Pass"),
    ("much drift", gate(drift={"maxPSI": 0.2}), Readings(drifted(0.3, 0.0)), "Fail"),
    ("drift of too few rows", gate(drift={"maxPSI": 0.2}, minRequests=600), Readings(drifted(0.3, 0.0)), "NoData"),
    ("other predictions", gate(predictionMix={"maxPSI": 0.2}), Readings(drifted(0.1, 0.9)), "Fail"),
    (
        "drift over a window that the server does not have yet",
        gate(drift={"maxPSI": 0.2}, window="6m"),
        Readings(drifted(0.3, 0)),
        "NoData",
    ),
    ("a query", gate(promql={"query": "q", "max": 3}), Readings(Side(answers={"g": Measured(2.0)})), "Pass"),
    ("a query above", gate(promql={"query": "q", "max": 3}), Readings(Side(answers={"g": Measured(4.0)})), "Fail"),
    ("a query below", gate(promql={"query": "q", "min": 3}), Readings(Side(answers={"g": Measured(2.0)})), "Fail"),
    ("no answer", gate(promql={"query": "q", "max": 3}), Readings(Side(answers={"g": Measured(None, 0, "down")})), "NoData"),
    ("no Prometheus", gate(promql={"query": "q", "max": 3}), Readings(Side()), "NoData"),
    ("errors by Prometheus", ERRORS, Readings(Side(answers={"g": Measured(0.5, 100)})), "Fail"),
    ("errors by Prometheus, too few requests", ERRORS, Readings(Side(answers={"g": Measured(0.5, 10)})), "NoData"),
]


@pytest.mark.parametrize(("case", "asked", "readings", "verdict"), CASES, ids=[row[0] for row in CASES])
def test_verdicts(case: str, asked: RolloutGate, readings: Readings, verdict: str) -> None:
    found = judge(asked, readings, None, NOW)
    assert found.verdict == verdict, found.message
    assert found.message


def test_a_verdict_says_value_bound_and_sample() -> None:
    found = judge(ERRORS, Readings(side(Behaviour(errors=0.5))), None, NOW)
    assert (found.value, found.requests, found.at) == ("0.5", 500, NOW)
    assert found.message == "error rate 0.5 > 0.05 over 500 requests"
    found = judge(gate(latency={"quantile": 0.9, "maxMilliseconds": 50}), Readings(side(Behaviour(latency=0.4))), None, NOW)
    assert found.message == "latency p90 460 ms > 50 ms over 500 requests"


def test_a_verdict_keeps_since_when_it_is_so() -> None:
    earlier = NOW - timedelta(minutes=5)
    before = GateVerdict(name="g", verdict="Pass", at=earlier, since=earlier)
    assert judge(ERRORS, Readings(side(Behaviour())), before, NOW).since == earlier
    assert judge(ERRORS, Readings(side(Behaviour(errors=1.0))), before, NOW).since == NOW


@pytest.mark.parametrize(
    ("choice", "seconds", "fails"), [("Fail", 61, True), ("Fail", 59, False), ("Hold", 999, False), ("Pass", 999, False)]
)
def test_no_data_fails_after_a_window_without_any(choice: str, seconds: float, fails: bool) -> None:
    verdict = GateVerdict(name="g", verdict="NoData", since=NOW - timedelta(seconds=seconds))
    assert failing(gate(errorRate={"max": 0.1}, onNoData=choice), verdict, NOW) is fails


def test_queries_name_the_pods_of_one_revision() -> None:
    value, requests = queries(ERRORS, "team", "web", "web-3f9a0b1c", "3f9a0b1c9d")
    assert 'namespace="team",pod=~"web' in value
    assert 'status=~"5.."' in value
    assert "[60s]" in requests
    asked = gate(promql={"query": 'up{ns="$namespace",r="$revision"}[$window] > $namespacex', "max": 1}, window="5m")
    assert queries(asked, "team", "web", "web-3f9a0b1c", "3f9a") == ('up{ns="team",r="3f9a"}[300s] > $namespacex', "")
