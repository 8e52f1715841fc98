"""Times at which builds start by themselves, and changes that do: with injected time, over the days that clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slipway.api.model_build import Schedule
from slipway.api.model_build_status import PendingChange
from slipway.controllers.model_build.triggers import observed_change, schedule_problem, times

BERLIN = "Europe/Berlin"


def schedule(cron: str, zone: str = "Etc/UTC", **more: object) -> Schedule:
    return Schedule.model_validate({"cron": cron, "timeZone": zone, **more})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run(cron: str, zone: str, begin: str, end: str) -> list[str]:
    """All times in (begin, end], as an operator meets them that looks every ten seconds of a schedule's life."""
    found, since, until = [], utc(begin), utc(end)
    while (following := times(schedule(cron, zone), since=since, now=since).next) is not None and following <= until:
        found.append(following.strftime("%m-%dT%H:%M"))
        since = following
    return found


def test_a_night_job_in_winter_and_summer() -> None:
    assert run("0 3 * * *", BERLIN, "2026-03-27T12:00", "2026-03-30T12:00") == ["03-28T02:00", "03-29T01:00", "03-30T01:00"]


def test_a_time_that_the_clock_skips_does_not_happen() -> None:
    assert run("30 2 * * *", BERLIN, "2026-03-27T12:00", "2026-03-30T12:00") == ["03-28T01:30", "03-30T00:30"]


def test_a_time_that_comes_twice_happens_once() -> None:
    assert run("30 2 * * *", BERLIN, "2026-10-24T12:00", "2026-10-26T12:00") == ["10-25T00:30", "10-26T01:30"]


def test_every_real_hour_counts_when_each_is_asked_for() -> None:
    autumn = run("0 * * * *", BERLIN, "2026-10-24T23:30", "2026-10-25T03:30")
    assert autumn == ["10-25T00:00", "10-25T01:00", "10-25T02:00", "10-25T03:00"]
    spring = run("@hourly", BERLIN, "2026-03-28T23:30", "2026-03-29T03:30")
    assert spring == ["03-29T00:00", "03-29T01:00", "03-29T02:00", "03-29T03:00"]
    quarters = run("*/15 * * * *", BERLIN, "2026-10-24T23:59", "2026-10-25T02:00")
    assert len(quarters) == 9
    assert quarters == sorted(set(quarters))


def test_a_day_of_downtime_is_made_up_for_once() -> None:
    hourly = schedule("0 * * * *")
    found = times(hourly, since=utc("2026-11-01T00:00"), now=utc("2026-11-02T05:30"))
    assert (found.due, found.next) == (utc("2026-11-02T05:00"), utc("2026-11-02T06:00"))


def test_years_of_downtime_are_looked_through_quickly() -> None:
    found = times(schedule("0 0 29 2 *"), since=utc("2016-03-01T00:00"), now=utc("2027-11-02T00:00"))
    assert found.due == utc("2024-02-29T00:00")
    assert times(schedule("* * * * *"), since=utc("2016-03-01T00:00"), now=utc("2027-11-02T00:00")).due == utc("2027-11-02T00:00")


def test_what_is_too_late_does_not_start() -> None:
    late = schedule("0 3 * * *", startingDeadlineSeconds=600)
    assert times(late, since=utc("2026-11-01T03:00"), now=utc("2026-11-02T03:09")).due == utc("2026-11-02T03:00")
    assert times(late, since=utc("2026-11-01T03:00"), now=utc("2026-11-02T03:11")).due is None


def test_a_clock_that_jumps_back_makes_nothing_happen_twice() -> None:
    done = utc("2026-11-02T03:00")
    found = times(schedule("0 3 * * *"), since=done, now=utc("2026-11-01T12:00"))
    assert (found.due, found.next) == (None, utc("2026-11-03T03:00"))


@pytest.mark.parametrize(
    ("cron", "zone", "words"),
    [
        ("0 0 30 2 *", "Etc/UTC", "never comes"),
        ("0 25 * * *", "Etc/UTC", "not a schedule"),
        ("0 3 * *", "Etc/UTC", "five fields"),
        ("0 3 * * *", "Europe/Berln", "schedule.timeZone"),
        ("0 3 * * *", "../../etc/passwd", "schedule.timeZone"),
    ],
)
def test_a_schedule_that_cannot_be_is_told(cron: str, zone: str, words: str) -> None:
    assert words in (schedule_problem(schedule(cron, zone)) or "")


def test_good_schedules_have_no_problem() -> None:
    for cron in ("@daily", "0 3 * * 1-5", "*/5 * * * *", "0 0 29 2 *", "0 3 L * *"):
        assert schedule_problem(schedule(cron, BERLIN)) is None


A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NOW = utc("2026-11-02T12:00")


def test_a_change_counts_once_it_has_stood_still() -> None:
    pending, counts = observed_change(None, A, NOW, 30)
    assert counts == NOW + timedelta(seconds=30)
    later = NOW + timedelta(seconds=20)
    pending, counts = observed_change(pending, B, later, 30)
    assert counts == later + timedelta(seconds=30)
    again, counts = observed_change(pending, B, later + timedelta(seconds=15), 30)
    assert (again, counts) == (pending, later + timedelta(seconds=30))


def test_what_changes_every_second_counts_after_ten_times_that() -> None:
    pending: PendingChange | None = None
    now = NOW
    for second in range(400):
        now = NOW + timedelta(seconds=second)
        pending, counts = observed_change(pending, f"sha256:{second:064x}", now, 30)
        if now >= counts:
            break
    assert now == NOW + timedelta(seconds=300)


def test_no_debounce_counts_at_once() -> None:
    _, counts = observed_change(None, A, NOW, 0)
    assert counts <= NOW
