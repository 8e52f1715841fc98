"""The sweep finds nothing wrong with a sound controller, and finds each of the broken ones out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.reconcile import toy
from tests.faults.sweep import ALL_FAULTS, Reference, Report, Scenario, crashes, lost_events, run_reference, sweep, two_operators
from tests.faults.world import Operator

LIFE = Scenario(
    "toy",
    toy.world,
    (toy.create("1"), toy.edit_child, toy.create("2"), toy.create("bad"), toy.create("1"), toy.delete),
    budget=30,
    leaves_nothing=True,
)


def broken(kind: type[toy.Toy]) -> Scenario:
    return replace(LIFE, build=lambda: toy.world(kind))


async def test_a_sound_controller_passes_every_point() -> None:
    """Crashes in full; of the other faults as many as take a few seconds, evenly spread."""
    report = await sweep(LIFE, (crashes,))
    report.merge(await sweep(LIFE, tuple(family for family in ALL_FAULTS if family is not crashes), limit=15))

    assert report.ok, report
    figures = report.figures()
    for kind in (
        "crash before kube write",
        "crash after kube write",
        "crash before store write",
        "crash after store write",
        "kube 409",
        "kube 429",
        "kube 500",
        "kube time-out after commit",
        "store unavailable",
        "store time-out after commit",
        "stale reads",
        "event dropped",
        "event repeated",
        "event reordered",
        "second operator",
        "quiescence",
        "write budget",
        "nothing left",
    ):
        assert figures[kind]["covered"] >= 1, kind
        assert figures[kind]["passed"] == figures[kind]["covered"]


async def test_a_second_operator_does_what_the_first_was_about_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the first one then acts on what is no longer so."""
    wrote: list[int] = []
    look = Operator.round

    async def counted(self: Operator) -> None:
        before = self.world.api.writes
        await look(self)
        # the write that is held up has been counted already
        wrote.append(self.world.api.writes - before)

    monkeypatch.setattr(Operator, "round", counted)
    report = await sweep(replace(LIFE, actions=LIFE.actions[:1], leaves_nothing=False), (two_operators,))
    assert report.ok, report
    assert report.figures()["second operator"]["covered"] == report.writes
    beside = [writes for writes in wrote if writes]
    assert len(beside) > report.writes / 2, "all but events, which the first one alone has to tell"


async def test_every_write_is_a_crash_point() -> None:
    report = Report("toy")
    reference: Reference = await run_reference(LIFE, report)
    points = [point for kind, point, _ in crashes(reference) if kind == "crash before kube write"]
    assert len(points) == report.writes > 5
    assert len(reference.states) == len(LIFE.actions)


@pytest.mark.parametrize("kind", [toy.RandomNames, toy.Remembers])
async def test_a_controller_that_cannot_be_killed_is_found_out(kind: type[toy.Toy]) -> None:
    try:
        report = await sweep(broken(kind), (crashes,))
    except AssertionError:
        return  # not even the undisturbed run comes to rest
    assert not report.ok


async def test_a_controller_that_never_rests_is_found_out() -> None:
    with pytest.raises(AssertionError, match="no rest"):
        await sweep(broken(toy.NeverQuiet), ())


async def test_a_controller_that_leaves_something_is_found_out() -> None:
    report = await sweep(broken(toy.Leaves), ())
    assert "Service/cancer" in str(report.failures["nothing left"])


async def test_a_budget_that_is_too_small_is_reported() -> None:
    report = await sweep(replace(LIFE, budget=3), ())
    assert not report.ok
    assert "budget is 3" in str(report)


async def test_a_limit_leaves_points_out_and_says_how_many() -> None:
    report = await sweep(LIFE, (lost_events,), limit=2)
    figures = report.figures()["event dropped"]
    assert figures["covered"] == 2
    assert figures["skipped"] > 0
    assert len(ALL_FAULTS) == 6
