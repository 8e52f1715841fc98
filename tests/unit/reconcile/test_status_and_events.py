"""The single status write, and the events that follow it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.kube.port import Conflict, Unavailable
from slipway.reconcile.contract import Event, StatusUpdate
from slipway.reconcile.events import EventSender
from slipway.reconcile.status_writer import StatusWriter
from tests.fakes.api_server import Call
from tests.unit.reconcile.bench import Bench

BUILT = Event("Normal", "Built", "version 7")


def writer(bench: Bench) -> StatusWriter:
    return StatusWriter(bench.api, EventSender(bench.api, "pod-1", bench.clock), lambda: None)


def status(**fields: Any) -> dict[str, Any]:
    return {"observedGeneration": 1, "conditions": [], **fields}


async def write(bench: Bench, *events: Event, **fields: Any) -> bool:
    return await writer(bench).write(bench.resource(), StatusUpdate(status(**fields), events), field_manager="slipway-test")


async def test_a_status_is_written_when_it_differs_and_only_then() -> None:
    bench = Bench()
    assert await write(bench, version={"number": 7})
    assert not await write(bench, version={"number": 7})
    assert await write(bench, version={"number": 8})
    assert bench.resource()["status"]["version"] == {"number": 8}


async def test_fields_that_are_none_are_left_out_and_do_not_differ() -> None:
    bench = Bench()
    assert await write(bench, version=None, build={"job": None, "id": "x"})
    assert bench.resource()["status"]["build"] == {"id": "x"}
    assert not await write(bench, build={"id": "x"})


async def test_a_field_of_the_last_status_that_is_not_said_again_goes() -> None:
    bench = Bench()
    await write(bench, version={"number": 7}, image="x")
    await write(bench, image="x")
    assert "version" not in bench.resource()["status"]


async def test_spec_and_metadata_are_never_touched() -> None:
    bench = Bench()
    before = bench.resource()
    await write(bench, image="x")
    after = bench.resource()
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert set(after["metadata"]) == set(before["metadata"])


async def test_an_event_follows_a_change_and_tells_of_whom() -> None:
    bench = Bench()
    await write(bench, BUILT, BUILT, image="x")
    (event,) = bench.api.all("Event")
    assert (event["reason"], event["note"], event["type"]) == ("Built", "version 7", "Normal")
    assert event["regarding"]["uid"] == bench.owner["metadata"]["uid"]
    assert event["reportingController"] == "slipway.dev/operator"
    assert event["reportingInstance"] == "pod-1"
    await write(bench, BUILT, image="x")
    assert len(bench.api.all("Event")) == 1


async def test_no_event_without_the_write() -> None:
    bench = Bench()

    def refuse(call: Call) -> None:
        if call.verb == "apply_status":
            raise Conflict("modified")

    bench.api.before = refuse
    with pytest.raises(Conflict):
        await write(bench, BUILT, image="x")
    assert bench.api.all("Event") == []


async def test_an_event_that_was_sent_but_not_answered_is_not_sent_twice() -> None:
    bench = Bench()
    await write(bench, image="x")
    regarding = bench.resource()
    sender = EventSender(bench.api, "pod-1", bench.clock)

    def lose(call: Call) -> None:
        if call.kind == "Event":
            raise Unavailable("no answer")

    bench.api.after = lose
    await sender.send(regarding, (BUILT,))
    bench.api.heal()
    await sender.send(regarding, (BUILT,))
    assert len(bench.api.all("Event")) == 1


async def test_the_same_words_about_another_change_are_another_event() -> None:
    bench = Bench()
    await write(bench, BUILT, image="x")
    await write(bench, BUILT, image="y")
    assert len(bench.api.all("Event")) == 2


async def test_events_that_cannot_be_sent_do_not_spoil_the_write() -> None:
    bench = Bench()

    def refuse(call: Call) -> None:
        if call.kind == "Event":
            raise Unavailable("no answer")

    bench.api.before = refuse
    assert await write(bench, BUILT, image="x")


async def test_long_names_and_messages_are_cut_to_what_the_server_takes() -> None:
    bench = Bench()
    bench.owner["metadata"]["name"] = "n" * 253
    regarding = {**bench.owner, "metadata": {**bench.owner["metadata"], "resourceVersion": "7"}}
    await EventSender(bench.api, "p" * 300, bench.clock).send(regarding, (Event("Warning", "R" * 200, "m" * 5000),))
    (event,) = bench.api.all("Event")
    assert len(event["metadata"]["name"]) <= 253
    assert len(event["note"]) == 1024
    assert len(event["reason"]) == 128
    assert len(event["reportingInstance"]) == 128
