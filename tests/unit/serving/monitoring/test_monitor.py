"""The monitor of one model, with time in our hands."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client.core import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from slipway.registry import records
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.expose import families
from slipway.serving.monitoring.monitor import Monitor
from slipway.serving.signature import Signature, Tensor
from slipway.serving.tensors import Array
from slipway.training.reference import Reference, build_reference

SIGNATURE = Signature(
    (Tensor("input", "FP32", (-1, 3)),), (Tensor("label", "INT64", (-1,)), Tensor("probabilities", "FP32", (-1, 2)))
)


class Time:
    """A clock for windows, and a stopwatch that says what counting cost."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.spent = 0.0
        self.each = 0.0

    def clock(self) -> float:
        return self.now

    def stopwatch(self) -> float:
        self.spent += self.each
        return self.now + self.spent


def rows(count: int, shift: float = 0.0, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(shift, 1, (count, 3)).astype(np.float32)


def answers(X: Array) -> list[Array]:
    p = 1 / (1 + np.exp(-X[:, :1]))
    return [(p[:, 0] > 0.5).astype(np.int64), np.hstack([1 - p, p]).astype(np.float32)]


def reference() -> Reference:
    X = rows(5000, seed=9)
    signature = records.Signature(
        inputs=(records.TensorSpec(name="input", datatype="FP32", shape=(-1, 3)),),
        outputs=tuple(records.TensorSpec(name=t.name, datatype=t.datatype, shape=t.shape) for t in SIGNATURE.outputs),
        columns=("a", "b", "c"),
    )
    named = {"input": X.astype(np.float64)}
    outputs = dict(zip(("label", "probabilities"), answers(X), strict=True))
    return build_reference(signature, named, outputs, frozenset({"label"}))


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def monitor(time: Time) -> Monitor:
    return Monitor(SIGNATURE, reference(), clock=time.clock, stopwatch=time.stopwatch)


def send(monitor: Monitor, X: Array, each: int = 1) -> None:
    for start in range(0, len(X), each):
        part = X[start : start + each]
        monitor.observe([("id", [part], answers(part))])


def psi_of(monitor: Monitor, window: str = "1m") -> dict[str, float | None]:
    _, inputs, outputs = monitor.drift(window)
    return {one.name: one.psi for one in [*inputs, *outputs]}


def test_the_same_distribution_stays_below_and_a_shifted_one_rises_above(monitor: Monitor) -> None:
    send(monitor, rows(1000, seed=1))
    assert all(value is not None and value < 0.1 for value in psi_of(monitor).values())
    shifted = rows(1000, seed=2)
    shifted[:, 1] += 2
    send(monitor, shifted)
    found = psi_of(monitor)
    assert found["b"] > 0.2
    assert found["a"] < 0.1
    assert found["label"] < 0.1


def test_predictions_drift_when_what_decides_them_does(monitor: Monitor) -> None:
    send(monitor, rows(500, shift=1.5))
    found = psi_of(monitor)
    assert found["label"] > 0.2
    assert found["probabilities[1]"] > 0.2
    assert monitor.classes["1"] > monitor.classes["0"]


def test_a_window_forgets(monitor: Monitor, time: Time) -> None:
    send(monitor, rows(400, shift=3))
    time.now += 90
    send(monitor, rows(400))
    assert psi_of(monitor, "1m")["a"] < 0.2
    assert psi_of(monitor, "5m")["a"] > 0.2
    assert monitor.drift("1m")[0] == 400
    assert monitor.drift("5m")[0] == 800
    time.now += 7200
    assert monitor.drift("1h")[0] == 0
    assert psi_of(monitor, "1h")["a"] is None


def test_too_few_rows_give_no_index_rather_than_a_wrong_one(monitor: Monitor) -> None:
    send(monitor, rows(99, shift=9))
    assert set(psi_of(monitor).values()) == {None}
    send(monitor, rows(1, shift=9))
    assert psi_of(monitor)["a"] > 0.2


def test_missing_and_impossible_values_are_told_apart(monitor: Monitor) -> None:
    X = rows(200)
    X[:50, 0] = np.nan
    X[:20, 1] = np.inf
    X[:10, 2] = -3e38
    monitor.observe([("id", [X], answers(rows(200)))])
    _, inputs, _ = monitor.drift("1m")
    a, b, c = inputs
    assert (a.missing, b.missing, c.missing) == (0.25, 0, 0)
    assert b.out_of_range == pytest.approx(0.1, abs=0.02)
    assert c.out_of_range == pytest.approx(0.05, abs=0.02)
    assert a.psi is not None
    assert a.psi > 0.2, "missing values are a change too"


def test_counting_that_costs_too_much_is_done_for_a_part(monitor: Monitor, time: Time) -> None:
    time.each = 0.01  # every look at the stopwatch: ten milliseconds have gone into counting
    send(monitor, rows(20_000), each=100)
    assert monitor.observed > 0
    assert monitor.unobserved > monitor.observed
    assert monitor.observed + monitor.unobserved + 0 >= 20_000 - 600


def test_a_request_of_very_many_rows_is_sampled_and_its_memory_let_go(monitor: Monitor) -> None:
    X = rows(10_000)
    monitor.observe([("id", [X], answers(X))])
    monitor.flush()
    assert monitor.observed == 512
    assert monitor.unobserved == 10_000 - 512


def test_rows_that_do_not_fit_stop_monitoring_and_nothing_else(monitor: Monitor, capsys: pytest.CaptureFixture[str]) -> None:
    monitor.observe([("id", [np.zeros((1, 3))], answers(rows(1)))])
    monitor.observe([("id", [np.zeros((1, 2))], answers(rows(1)))])
    monitor.flush()
    assert "monitoring of inputs and predictions has stopped" in capsys.readouterr().err
    monitor.observe([("id", [rows(1)], answers(rows(1)))])
    assert monitor.document()["windows"]["1m"]["rows"] == 0


def test_a_model_without_reference_has_its_rows_and_classes_counted() -> None:
    monitor = Monitor(SIGNATURE, None)
    send(monitor, rows(300), each=10)
    document = monitor.document()
    assert document["reference"] is None
    assert document["observedRows"] == 300
    assert set(document["predictions"]) == {"0", "1"}


def test_what_prometheus_reads_is_well_formed(monitor: Monitor) -> None:
    send(monitor, rows(500), each=50)
    metrics = Metrics()
    metrics.more.append(lambda: families(monitor, "m", "7"))
    CollectorRegistry().register(metrics)
    parsed = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    psi = {s.labels["feature"]: s.value for s in parsed["slipway_drift_psi"].samples if s.labels["window"] == "5m"}
    assert set(psi) == {"a", "b", "c"}
    most = next(s.value for s in parsed["slipway_drift_psi_max"].samples if s.labels["window"] == "5m")
    assert most == max(psi.values())
    mix = {s.labels["class"]: s.value for s in parsed["slipway_predictions"].samples}
    assert sum(mix.values()) == 500
    assert {s.value for s in parsed["slipway_drift_rows"].samples} == {500}
