"""Builds that start by themselves, on the in-memory API server: by the clock, by data, and the same after every fault."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.training.contract import BuildRequest
from tests.fakes.cluster import Running
from tests.fakes.git_server import Repository, git_http
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import config_map, get, model_build, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World

MODEL = "default/cancer"
NIGHTLY = {"cron": "0 3 * * *", "timeZone": "Europe/Berlin"}


def build_world() -> World:
    return worlds.world("ModelBuild")


def new_data(text: str) -> Callable[[World], None]:
    def action(world: World) -> None:
        world.bucket("data").put("train.parquet", text.encode())

    action.__name__ = f"data {text}"
    return action


def until(time: str) -> Callable[[World], None]:
    def action(world: World) -> None:
        world.clock.advance((datetime.fromisoformat(time).replace(tzinfo=UTC) - world.clock()).total_seconds())

    action.__name__ = f"until {time}"
    return action


async def settle(world: World, *actions: Callable[[World], None]) -> dict:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return get(world, "ModelBuild", "cancer")


def versions(world: World) -> int:
    return world.registry().latest(MODEL)


async def test_new_data_waits_for_the_schedule() -> None:
    world = build_world()
    build = await settle(world, put(model_build(schedule=NIGHTLY)), new_data("more rows"))
    assert build["status"]["triggers"]["nextScheduleTime"] == "2026-11-02T02:00:00Z"
    assert versions(world) == 1
    build = await settle(world, until("2026-11-02T02:00:01"))
    assert versions(world) == 2
    assert build["status"]["build"]["reason"] == "Scheduled"
    assert build["status"]["triggers"]["lastScheduleTime"] == "2026-11-02T02:00:00Z"
    assert build["status"]["triggers"]["nextScheduleTime"] == "2026-11-03T02:00:00Z"
    assert build["status"]["history"][0]["reason"] == "Scheduled"


async def test_a_night_without_new_data_builds_nothing() -> None:
    world = build_world()
    build = await settle(world, put(model_build(schedule=NIGHTLY)), until("2026-11-02T02:00:01"))
    assert versions(world) == 1
    assert len(world.api.all("Job")) == 1
    assert build["status"]["triggers"]["lastScheduleTime"] == "2026-11-02T02:00:00Z"
    assert ready(build) == ("True", "Promoted")


async def test_an_operator_that_was_down_for_days_makes_up_for_one_night() -> None:
    world = build_world()
    await settle(world, put(model_build(schedule=NIGHTLY)), new_data("more rows"))
    build = await settle(world, until("2026-11-05T12:00:00"))
    assert versions(world) == 2
    assert build["status"]["triggers"]["lastScheduleTime"] == "2026-11-05T02:00:00Z"


@pytest.mark.parametrize("policy", ["Forbid", "Replace"])
async def test_a_time_that_comes_while_a_build_runs(policy: str) -> None:
    """Forbid (the default): the build goes on, and the time is made up for. Replace: it gives way to one from the data of now."""
    world = build_world()
    scripted = world.cluster.jobs
    await settle(world, put(model_build(schedule={**NIGHTLY, "concurrencyPolicy": policy}, deadlineSeconds=200_000)))
    world.cluster.jobs = lambda _job: Running()
    first = await settle(world, new_data("first night"), until("2026-11-02T02:00:01"))
    second = await settle(world, new_data("second night"), until("2026-11-03T02:00:01"))
    assert versions(world) == 1
    assert (second["status"]["build"]["id"] == first["status"]["build"]["id"]) is (policy == "Forbid")
    world.cluster.jobs = scripted
    build = await settle(world, lambda _: world.clock.advance(60))
    assert versions(world) == (3 if policy == "Forbid" else 2)
    assert build["status"]["build"]["reason"] == "Scheduled"
    assert build["status"]["triggers"]["lastScheduleTime"] == "2026-11-03T02:00:00Z"


async def test_nights_during_suspension_are_not_made_up_for() -> None:
    world = build_world()
    await settle(world, put(model_build(schedule=NIGHTLY)), new_data("more rows"))
    await settle(world, put(model_build(schedule=NIGHTLY, suspend=True)), until("2026-11-02T02:00:01"))
    build = await settle(world, put(model_build(schedule=NIGHTLY)))
    assert build["status"]["build"]["reason"] in ("FirstBuild", "SpecChanged")
    assert build["status"]["triggers"]["nextScheduleTime"] == "2026-11-03T02:00:00Z"


async def test_a_changed_schedule_counts_from_now_on() -> None:
    world = build_world()
    await settle(world, put(model_build(schedule=NIGHTLY)))
    other = {"cron": "0 * * * *"}
    build = await settle(world, put(model_build(schedule=other)))
    assert build["status"]["triggers"]["nextScheduleTime"] == "2026-11-01T13:00:00Z"
    build = await settle(world, put(model_build()))
    assert "triggers" not in build["status"]


async def test_a_schedule_that_never_comes_is_told_and_builds_nothing() -> None:
    world = build_world()
    build = await settle(world, put(model_build(schedule={"cron": "0 0 31 4 *"})))
    assert ready(build) == ("False", "InvalidSpec")
    assert "never comes" in build["status"]["conditions"][0]["message"]
    assert not world.api.all("Job")


async def test_a_change_of_data_starts_a_build_once_it_stands_still() -> None:
    world = build_world()
    watched = model_build(triggers={"onInputChange": True, "debounceSeconds": 60})
    await settle(world, put(watched))
    new_data("more rows")(world)
    operator = Operator(world)
    await operator.round()
    build = get(world, "ModelBuild", "cancer")
    assert versions(world) == 1
    assert build["status"]["triggers"]["pending"]["since"] == world.clock.text()
    assert ready(build) == ("True", "Promoted"), "what is served is not in doubt while data come in"
    await operator.run_to_rest()
    build = get(world, "ModelBuild", "cancer")
    assert versions(world) == 2
    assert build["status"]["build"]["reason"] == "InputChanged"
    assert "triggers" not in build["status"], "an emptied object is null to the API server, which refuses it"


async def test_data_that_change_all_the_time_are_built_from_now_and_then() -> None:
    world = build_world()
    await settle(world, put(model_build(triggers={"onInputChange": True, "debounceSeconds": 60})))
    for minute in range(25):
        new_data(f"rows until {minute}")(world)
        world.clock.advance(30)
        operator = Operator(world)
        await operator.round()
        while world.cluster.step():
            pass
        await operator.round()
    assert 1 <= versions(world) - 1 <= 2


async def test_without_the_trigger_new_data_start_nothing() -> None:
    world = build_world()
    await settle(world, put(model_build()), new_data("more rows"))
    assert versions(world) == 1


async def test_a_store_that_is_down_does_not_put_a_good_version_in_doubt() -> None:
    world = build_world()
    await settle(world, put(model_build(triggers={"onInputChange": True})))
    world.bucket("data").delete("train.parquet")
    build = await settle(world, lambda _: world.clock.advance(timedelta(hours=1).total_seconds()))
    assert ready(build) == ("True", "Promoted")
    build = await settle(world, new_data("back again, and more"))
    assert versions(world) == 2


async def test_a_new_commit_on_the_branch_starts_a_build(tmp_path: Path) -> None:
    """Of a real repository, over http. Commits on other branches start nothing."""
    repository = Repository(tmp_path / "code.git")
    repository.commit({"train.py": b"def main(run): 1"})
    with git_http({"/code.git": repository}) as url:
        world = build_world()
        code = {"git": {"url": f"{url}/code.git", "ref": "main"}}
        await settle(world, put(model_build(source=code, triggers={"onInputChange": True, "debounceSeconds": 60})))
        assert versions(world) == 1
        repository.commit({"train.py": b"def main(run): 2"}, branch="feature")
        build = await settle(world, lambda _: world.clock.advance(timedelta(hours=1).total_seconds()))
        assert versions(world) == 1
        second = repository.commit({"train.py": b"def main(run): 3"})
        build = await settle(world, lambda _: world.clock.advance(30))
        assert versions(world) == 2
        assert build["status"]["build"]["reason"] == "SourceChanged"
        assert build["status"]["history"][0]["reason"] == "SourceChanged"
    began = build["status"]["build"]
    request = world.registry().read_request(began["id"], began["attempt"], BuildRequest)
    assert request is not None and request.source is not None and request.source.git is not None
    assert request.source.git.commit == second, "the pod is told the commit, not the branch"


LIFE = Scenario(
    "builds that start by themselves",
    build_world,
    (
        put(model_build(schedule=NIGHTLY, triggers={"onInputChange": True, "debounceSeconds": 0})),
        new_data("more rows"),
        until("2026-11-02T02:00:01"),
        put(config_map("code", {"train.py": "def main(run): run\n"})),
    ),
)


async def test_every_crash_ends_in_the_same_state() -> None:
    report = await sweep(LIFE, (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events])
async def test_every_other_fault_ends_in_the_same_state(fault: Callable[..., object]) -> None:
    report = await sweep(LIFE, (fault,), limit=20)
    print(report)
    assert report.ok, report
