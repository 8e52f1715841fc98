"""Windows over counters that reset, pods that come and go, and readings that failed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from slipway.api.rollout import Mark
from slipway.controllers.model_deployment.samples import Copies, PodSample, Totals, advanced, parse, quantile, window_of
from tests.fakes.scraper import Behaviour, page

NOW = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)
LONG_AGO = (NOW - timedelta(days=1)).timestamp()


def pod(requests: float, errors: float = 0.0, started: float = LONG_AGO) -> PodSample:
    return PodSample(started, requests, errors, 0.0, (0.01, float("inf")), (requests, requests))


def mark(seconds_ago: float, **pods: PodSample) -> Mark:
    at = NOW - timedelta(seconds=seconds_ago)
    return Mark(window=60, at=at, pods={name: sample.encoded() for name, sample in pods.items()})


def test_a_window_is_what_was_counted_since_its_mark() -> None:
    found = window_of([mark(50, a=pod(100, 1))], 60, {"a": pod(180, 5)}, NOW)
    assert found is not None
    assert (found.requests, found.server_errors, found.seconds) == (80, 4, 50)


def test_the_oldest_mark_within_the_window_counts() -> None:
    marks = [mark(90, a=pod(0)), mark(55, a=pod(100)), mark(20, a=pod(150))]
    found = window_of(marks, 60, {"a": pod(180)}, NOW)
    assert found is not None
    assert found.requests == 80


def test_pods_are_added_up_and_one_that_went_away_is_left_out() -> None:
    found = window_of([mark(50, a=pod(100), b=pod(100), c=pod(100))], 60, {"a": pod(110), "b": pod(120)}, NOW)
    assert found is not None
    assert found.requests == 30


def test_a_counter_that_fell_is_no_data() -> None:
    assert window_of([mark(50, a=pod(100))], 60, {"a": pod(20)}, NOW) is None


def test_a_process_that_started_within_the_window_counts_from_zero() -> None:
    fresh = pod(20, 2, started=(NOW - timedelta(seconds=30)).timestamp())
    found = window_of([mark(50, a=pod(1000, 900))], 60, {"a": fresh}, NOW)
    assert found is not None
    assert (found.requests, found.server_errors) == (20, 2)


def test_a_reading_that_failed_is_no_data_and_leaves_the_marks() -> None:
    marks = (mark(50, a=pod(100)),)
    assert window_of(marks, 60, {}, NOW) is None
    assert advanced(marks, [60], {}, NOW) == marks


def test_without_a_mark_there_is_no_data_yet() -> None:
    assert window_of([], 60, {"a": pod(1000)}, NOW) is None
    (made,) = advanced((), [60], {"a": pod(1000)}, NOW)
    assert made.at == NOW


def test_marks_stay_few_however_often_pods_are_read() -> None:
    marks: tuple[Mark, ...] = ()
    for second in range(0, 3600, 5):
        now = NOW + timedelta(seconds=second)
        marks = advanced(marks, [60, 300], {"a": pod(100 + second)}, now)
        assert len(marks) <= 6
        found = window_of(marks, 60, {"a": pod(100 + second)}, now)
        assert found is not None
        assert found.seconds <= 60


def test_pods_that_nobody_asks_make_no_new_marks() -> None:
    marks = (mark(500, a=pod(100)),)
    assert advanced(marks, [60], {"a": pod(100)}, NOW) == marks
    found = window_of(marks, 60, {"a": pod(100)}, NOW)
    assert found == Totals(seconds=60)


def test_a_page_of_a_model_server_is_understood() -> None:
    sample = parse(page(Behaviour(rate=10, errors=0.1, client_errors=0.2, latency=0.03), 100, LONG_AGO))
    assert sample is not None
    assert (sample.requests, sample.server_errors, sample.client_errors) == (1000, 100, 200), "probes do not count"
    assert sample.started == LONG_AGO
    assert sample.buckets[-1] == 1000


def test_a_page_of_something_else_is_none() -> None:
    assert parse("<html>502 Bad Gateway</html>") is None
    assert parse("go_goroutines 7\n") is None
    assert parse("") is None


def test_the_servers_own_page_is_understood() -> None:
    from slipway.serving.metrics import Metrics

    metrics = Metrics()
    metrics.answered("m", "v2_infer", 200, 0.004)
    metrics.answered("m", "predict", 500, 0.2)
    metrics.answered("", "v2_ready", 503, 0.001)
    sample = parse(metrics.render().decode())
    assert sample is not None
    assert (sample.requests, sample.server_errors) == (2, 1)
    assert sample.started > 0
    assert sample.buckets[-1] == 2


def test_quantiles_are_interpolated_as_prometheus_does() -> None:
    totals = Totals(requests=100, bounds=(0.01, 0.1, float("inf")), buckets=(50, 100, 100))
    assert quantile(totals, 0.5) == 0.01
    assert quantile(totals, 0.75) == pytest.approx(0.055)
    assert quantile(Totals(bounds=(0.01, float("inf")), buckets=(0, 10)), 0.99) == 0.01
    assert quantile(Totals(), 0.5) is None


def copying(requests: float, agreed: float, rows: float, started: float = LONG_AGO) -> PodSample:
    return replace(pod(requests, started=started), copies=Copies(rows, agreed, rows, rows * 0.25))


def test_copies_are_counted_over_the_window_as_everything_else() -> None:
    found = window_of([mark(50, a=copying(100, 40, 50))], 60, {"a": copying(300, 130, 150)}, NOW)
    assert found is not None
    assert found.copies == Copies(100, 90, 100, 25.0)


def test_copies_that_began_after_the_mark_are_all_counted() -> None:
    found = window_of([mark(50, a=pod(100))], 60, {"a": copying(300, 90, 100)}, NOW)
    assert found is not None
    assert found.copies.rows == 100


def test_copies_for_another_candidate_are_no_data_for_this_one() -> None:
    assert window_of([mark(50, a=copying(100, 40, 50))], 60, {"a": copying(300, 9, 10)}, NOW) is None
