"""FeatureView on the in-memory API server: what a user sees, and the same after every crash, stale read and error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from slipway.features import ingested, parse
from slipway.features.records import Ingestion
from slipway.features.views import Views
from slipway.kube.port import Object
from slipway.registry.names import ModelName
from tests.fakes.clock import START
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import delete, feature_view, get, put, ready
from tests.faults.sweep import Scenario, api_errors, crashes, lost_events, stale_reads, store_errors, sweep
from tests.faults.world import Operator, World

NAME = ModelName("default", "visits")
TABLE = "features/default/visits/table"
WIDER = [{"name": "pages", "type": "int64"}, {"name": "country", "type": "string"}, {"name": "spent"}]
RETYPED = [{"name": "pages", "type": "string"}]


def view_world() -> World:
    return worlds.world("FeatureView")


async def settle(world: World, *actions: Callable[[World], None], name: str = "visits") -> Object:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return get(world, "FeatureView", name)


def commit(version: int, *actions: dict[str, Any], table: str = TABLE, bucket: str = "") -> Callable[[World], None]:
    """As any Delta writer leaves it."""

    def action(world: World) -> None:
        store = world.bucket(bucket) if bucket else world.store
        info = {"commitInfo": {"timestamp": int(START.timestamp() * 1000) + version * 60_000}}
        text = "\n".join(json.dumps(each) for each in (info, *actions))
        store.put(f"{table}/_delta_log/{version:020d}.json", text.encode())

    action.__name__ = f"commit {version}"
    return action


def add(rows: int, newest: datetime | None, **more: Any) -> dict[str, Any]:
    stats = {"numRecords": rows, "maxValues": {"happened": newest.isoformat()} if newest else {}}
    return {"add": {"path": f"{rows}.parquet", "dataChange": True, "stats": json.dumps(stats), **more}}


def ingest(version: int, rows: int, total: int, newest: datetime = START) -> Callable[[World], None]:
    """As `slipway features ingest` leaves it: a commit, and what was recorded of it."""

    def action(world: World) -> None:
        commit(version, add(rows, newest))(world)
        record = Ingestion(
            namespace="default",
            view="visits",
            revision=1,
            definition="sha256:" + "a" * 64,
            table_version=version,
            at=START + timedelta(minutes=version),
            rows=rows,
            nulls={"pages": 1, "country": 0},
            table_rows=total,
            table_nulls={"pages": total // 10, "country": 0},
            newest_event=newest,
        )
        ingested.record(world.store, record)

    action.__name__ = f"ingest {version}"
    return action


def by_hand(**changes: Any) -> Callable[[World], None]:
    """``slipway features apply`` by a person."""

    def action(world: World) -> None:
        view = parse({"name": "visits", **feature_view()["spec"], **changes})
        Views(world.store).apply("default", view, by="ann", writer="w", now=world.clock)

    action.__name__ = "apply by hand"
    return action


def nothing(_world: World) -> None:
    return None


POINTS = 30 if worlds.points_of_a_kind() else None
LIFE = Scenario(
    "feature view",
    view_world,
    (
        put(feature_view()),
        ingest(1, 100, 100),
        put(feature_view(features=RETYPED)),
        put(feature_view(features=WIDER)),
        commit(2, add(7, START)),
        delete("FeatureView", "visits"),
    ),
    budget=12,
    leaves_nothing=True,
)


async def test_every_crash_ends_in_the_same_state() -> None:
    report = await sweep(LIFE, (crashes,))
    print(report)
    assert report.ok, report


@pytest.mark.parametrize("fault", [api_errors, store_errors, stale_reads, lost_events])
async def test_every_other_fault_ends_in_the_same_state(fault: Callable[..., object]) -> None:
    report = await sweep(LIFE, (fault,), limit=POINTS)
    print(report)
    assert report.ok, report


async def test_a_definition_is_applied_and_told_of() -> None:
    world = view_world()
    view = await settle(world, put(feature_view()))
    assert ready(view) == ("True", "Applied")
    stored = Views(world.store).get(NAME)
    assert stored.by == "FeatureView default/visits"
    assert view["status"]["revision"]["number"] == 1
    assert view["status"]["revision"]["digest"] == stored.digest
    assert "table" not in view["status"], "nothing was ingested"


async def test_what_was_applied_by_hand_already_is_not_applied_again() -> None:
    world = view_world()
    view = await settle(world, by_hand(), put(feature_view()))
    assert view["status"]["revision"]["number"] == 1
    assert Views(world.store).get(NAME).by == "ann"


async def test_what_is_applied_by_hand_later_is_set_back_and_told_of() -> None:
    world = view_world()
    view = await settle(world, put(feature_view()), by_hand(features=WIDER))
    assert view["status"]["revision"]["number"] == 3
    assert Views(world.store).get(NAME).definition == parse(feature_view()).to_dict()
    notes = [event["note"] for event in world.api.all("Event")]
    assert any("revision 2, by ann, was another definition" in note for note in notes), notes


async def test_rows_freshness_and_quality_are_those_that_were_recorded() -> None:
    world = view_world()
    view = await settle(world, put(feature_view()), ingest(1, 100, 1100, START - timedelta(hours=2)))
    status = view["status"]
    assert status["table"] == {"version": 1, "rows": 1100}
    assert status["freshness"] == {"lastEventTime": "2026-11-01T10:00:00Z", "lastIngested": "2026-11-01T12:01:00Z"}
    assert status["quality"]["complete"] == "0.9500"
    assert status["quality"]["columns"] == [{"name": "pages", "nulls": "0.1000"}]


async def test_rows_that_other_tools_append_are_counted_from_the_log() -> None:
    world = view_world()
    later = START + timedelta(days=1)
    view = await settle(world, put(feature_view()), ingest(1, 100, 100), commit(2, add(7, later), add(3, START)))
    assert view["status"]["table"] == {"version": 2, "rows": 110}
    assert view["status"]["freshness"]["lastEventTime"] == "2026-11-02T12:00:00Z"
    assert view["status"]["quality"]["tableVersion"] == 1, "quality says which version it is about"
    compacted = commit(3, add(110, START, dataChange=False), {"remove": {"path": "7.parquet", "dataChange": False}})
    view = await settle(world, compacted)
    assert view["status"]["table"] == {"version": 3, "rows": 110}


async def test_rows_are_not_guessed_when_another_tool_rewrote_the_table() -> None:
    world = view_world()
    rewrite = commit(2, {"remove": {"path": "100.parquet", "dataChange": True}}, add(50, START))
    view = await settle(world, put(feature_view()), ingest(1, 100, 100), rewrite)
    assert "rows" not in view["status"]["table"]
    assert "rewrote rows in version 2" in view["status"]["table"]["message"]
    assert ready(view) == ("True", "Applied"), "not a fault of the definition"
    view = await settle(world, ingest(3, 5, 55))
    assert view["status"]["table"] == {"version": 3, "rows": 55}


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[1]", b'{"add": 3}', b'{"add": {"path": "x", "stats": "{"}}', b'{"add": {"stats": null}}']
)
async def test_a_log_that_cannot_be_read_does_no_harm(broken: bytes) -> None:
    world = view_world()
    view = await settle(world, put(feature_view()), lambda w: w.store.put(f"{TABLE}/_delta_log/{0:020d}.json", broken) and None)
    assert ready(view) == ("True", "Applied")
    assert view["status"]["table"]["version"] == 0


async def test_a_log_without_its_beginning_and_without_a_record_leaves_rows_unknown() -> None:
    world = view_world()
    commit(40, add(1, START))(world)
    view = await settle(world, put(feature_view()))
    assert view["status"]["table"]["version"] == 40
    assert "no longer in its log" in view["status"]["table"]["message"]


async def test_a_table_that_was_made_anew_is_told_anew() -> None:
    world = view_world()
    await settle(world, put(feature_view()), ingest(5, 100, 500))

    def anew(world: World) -> None:
        for info in list(world.store.list("features/default/visits/")):
            if "/definitions/" not in info.key:
                world.store.delete(info.key)
        commit(0)(world)
        commit(1, add(3, START))(world)

    view = await settle(world, anew)
    assert view["status"]["table"] == {"version": 1, "rows": 3}


async def test_a_view_at_rest_costs_two_lists() -> None:
    world = view_world()
    await settle(world, put(feature_view()), ingest(1, 100, 100))
    operator = Operator(world)
    await operator.run_to_rest()
    before = len(world.store.calls)
    await operator.round()
    assert [call.operation for call in world.store.calls[before:]] == ["list", "list"]


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"features": RETYPED}, "DefinitionRefused", "features.pages.type: string was int64 before"),
        ({"entities": [{"name": "account"}]}, "DefinitionRefused", "entities: ['account (int64)'] was ['user (int64)']"),
        ({"eventTime": "seen"}, "DefinitionRefused", "eventTime"),
        ({"source": {"sql": "SELECT 1", "views": ["others"]}}, "ViewNotFound", "no feature view others in default yet"),
        ({"features": [{"name": "Pages"}, {"name": "pages"}]}, "InvalidSpec", "column pages is there twice"),
        ({"features": [{"name": "pages", "type": "int46"}]}, "InvalidSpec", "spec.features.0.type: Value error, 'int46' is not"),
        ({"ttl": "0s"}, "InvalidSpec", "leave ttl out"),
        ({"ttl": 30}, "InvalidSpec", "has no unit"),
        ({"source": {"delta": "gs://x/y"}}, "InvalidSpec", "source.delta"),
        ({"source": {"delta": "s3://data/t", "sql": "SELECT 1", "views": ["x"]}}, "InvalidSpec", "exactly one of delta, sql"),
    ],
)
async def test_a_bad_definition_says_what_is_wrong_and_leaves_the_one_in_force(
    changes: dict[str, Any], reason: str, words: str
) -> None:
    world = view_world()
    view = await settle(world, put(feature_view()), put(feature_view(**changes)))
    assert ready(view) == ("False", reason)
    assert words in view["status"]["conditions"][0]["message"]
    assert view["status"]["revision"]["number"] == 1
    assert Views(world.store).last(NAME) == 1
    healed = await settle(world, put(feature_view()))
    assert ready(healed) == ("True", "Applied")


async def test_ingestion_goes_on_under_the_definition_in_force() -> None:
    world = view_world()
    view = await settle(world, put(feature_view()), put(feature_view(features=RETYPED)), ingest(1, 10, 10))
    assert ready(view) == ("False", "DefinitionRefused")
    assert view["status"]["table"]["rows"] == 10


async def test_a_view_over_others_waits_for_them() -> None:
    world = view_world()
    both = {"sql": "SELECT * FROM visits", "views": ["visits"]}
    view = await settle(world, put(feature_view("daily", source=both)), name="daily")
    assert ready(view) == ("False", "ViewNotFound")
    view = await settle(world, put(feature_view()), name="daily")
    assert ready(view) == ("True", "Applied")
    chained = {"sql": "SELECT * FROM daily", "views": ["daily"]}
    view = await settle(world, put(feature_view("weekly", source=chained)), name="weekly")
    assert ready(view) == ("False", "InvalidSpec")
    assert "daily is itself made from others" in view["status"]["conditions"][0]["message"]


async def test_a_table_of_others_is_waited_for_and_then_told_of() -> None:
    world = view_world()
    view = await settle(world, put(feature_view(source={"delta": "s3://lake/visits/"})))
    assert ready(view) == ("False", "TableNotFound")
    assert view["status"]["revision"]["number"] == 1, "the definition is applied all the same"
    view = await settle(world, commit(0, add(12, START), table="visits", bucket="lake"))
    assert ready(view) == ("True", "Applied")
    assert view["status"]["table"] == {"version": 0, "rows": 12}


async def test_deletion_keeps_definitions_and_data_and_a_return_finds_them() -> None:
    world = view_world()
    await settle(world, put(feature_view()), ingest(1, 100, 100))
    kept = dict(world.store.snapshot())
    delete("FeatureView", "visits")(world)
    await Operator(world).run_to_rest()
    assert dict(world.store.snapshot()) == kept
    view = await settle(world, put(feature_view()))
    assert view["status"]["revision"]["number"] == 1
    assert view["status"]["table"]["rows"] == 100
