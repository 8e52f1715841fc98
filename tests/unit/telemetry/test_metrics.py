"""Metrics under the names that dashboards for controller-runtime expect."""

from __future__ import annotations

import pytest

from slipway.telemetry.metrics import OperatorMetrics

NAMES = [
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_queue_duration_seconds",
    "workqueue_work_duration_seconds",
    "workqueue_retries_total",
    "controller_runtime_reconcile_total",
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_reconcile_time_seconds",
    "controller_runtime_active_workers",
    "rest_client_requests_total",
    "rest_client_request_duration_seconds",
    "leader_election_master_status",
    "process_resident_memory_bytes",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_there(name: str) -> None:
    text, content_type = OperatorMetrics().exposition()
    assert f"# TYPE {name} ".encode() in text
    assert content_type.startswith("text/plain")


def test_two_operators_in_one_process_do_not_share_counts() -> None:
    one, two = OperatorMetrics(), OperatorMetrics()
    one.queue_added(3)
    assert one.registry.get_sample_value("workqueue_adds_total", {"name": "slipway"}) == 3
    assert two.registry.get_sample_value("workqueue_adds_total", {"name": "slipway"}) == 0


def test_workers_are_counted_down_when_a_reconcile_fails() -> None:
    metrics = OperatorMetrics()
    with pytest.raises(RuntimeError), metrics.working("ModelBuild"):
        raise RuntimeError
    labels = {"controller": "ModelBuild"}
    assert metrics.registry.get_sample_value("controller_runtime_active_workers", labels) == 0
    assert metrics.registry.get_sample_value("controller_runtime_reconcile_time_seconds_count", labels) == 1


def test_a_request_without_an_answer_has_a_code_of_its_own() -> None:
    metrics = OperatorMetrics()
    metrics.requested("GET", "get", None, 0.1)
    metrics.requested("GET", "get", 200, 0.1)
    for code in ("<error>", "200"):
        value = metrics.registry.get_sample_value("rest_client_requests_total", {"method": "GET", "code": code})
        assert value == 1


def test_no_label_holds_a_name_of_an_object() -> None:
    metrics = OperatorMetrics()
    with metrics.working("ModelBuild"):
        pass
    metrics.reconciled("ModelBuild", "success", False)
    labels = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}
    assert labels.isdisjoint({"namespace", "object", "key", "resource_name"})
