"""CloudEvents at a real HTTP receiver that holds them against the specification, and is away, slow, broken or elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat

from slipway.kube.port import Object
from slipway.reconcile import webhook
from slipway.reconcile.contract import Key
from slipway.reconcile.notices import Notice
from slipway.reconcile.webhook import Webhook

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
SECRET = "Bearer s3cr3t-of-the-hook"


def fact(number: int, *, at: datetime = NOW) -> Notice:
    return Notice("promoted", f"r{number}", at, f"version {number} took over", {"version": number, "digest": None})


def resource(name: str = "cancer", uid: str = "u1") -> Object:
    meta = {"name": name, "namespace": "default", "uid": uid}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta}


@dataclass
class Facts:
    """A controller whose resources record `now`."""

    now: list[Notice] = field(default_factory=list)

    def notices(self, resource: Object) -> tuple[Notice, ...]:
        return tuple(self.now)


@dataclass
class Receiver:
    """`answers` are given one after the other, the last for ever; a number of seconds in `slow` goes before each."""

    answers: list[int] = field(default_factory=lambda: [202])
    slow: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    tries: int = 0
    got: list[Any] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tries += 1
        self.seen.append(dict(request.headers))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(self.slow)
        if status < 300:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.got.append(from_structured(HTTPMessage(headers, body), JSONFormat()))
        return web.Response(status=status, headers=self.headers)

    @property
    def versions(self) -> list[int]:
        return [event.get_data()["version"] for event in self.got]


@asynccontextmanager
async def serving(receiver: Receiver, port: int = 0) -> AsyncIterator[Receiver]:
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def telling(url: str, **options: Any) -> AsyncIterator[Webhook]:
    """A webhook at work, whose pauses between tries are a hundredth of what they are."""

    async def soon(seconds: float) -> None:
        await asyncio.sleep(seconds / 100)

    made = Webhook(url, **{"clock": lambda: NOW, "sleep": soon} | options)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  a fact of another part is polled
            await asyncio.sleep(0.01)


async def test_a_fact_goes_out_once_as_a_cloud_event() -> None:
    async with serving(Receiver()) as receiver, telling(receiver.url, source="https://prod.example.com/") as hook:
        controller = Facts([fact(1)])
        for _ in range(3):
            await hook.looked(controller, resource())
        controller.now.append(fact(2))
        await hook.looked(controller, resource())
        await hook.flush(60)
    assert receiver.versions == [1, 2]
    event = receiver.got[0]
    assert event.get_specversion() == "1.0"
    assert event.get_type() == "dev.slipway.modeldeployment.promoted.v1"
    assert event.get_source() == "https://prod.example.com/apis/slipway.dev/v1alpha1/namespaces/default/modeldeployments/cancer"
    assert event.get_subject() == "default/cancer"
    assert event.get_time() == NOW
    assert event.get_data() == {
        "kind": "ModelDeployment",
        "namespace": "default",
        "name": "cancer",
        "uid": "u1",
        "message": "version 1 took over",
        "version": 1,
    }
    assert receiver.seen[0]["Content-Type"].startswith("application/cloudevents+json")


async def test_ids_tell_facts_apart_and_are_the_same_for_the_next_operator() -> None:
    ids = []
    async with serving(Receiver()) as receiver:
        for _life in range(2):
            async with telling(receiver.url) as hook:
                await hook.looked(Facts([fact(1), fact(2)]), resource())
                await hook.looked(Facts([fact(1)]), resource("other", "u2"))
                await hook.flush(60)
            ids.append(sorted(event.get_id() for event in receiver.got))
            receiver.got.clear()
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


async def test_a_new_operator_tells_what_the_one_before_may_not_have_and_nothing_old() -> None:
    old = fact(1, at=NOW - timedelta(hours=1))
    async with serving(Receiver()) as receiver, telling(receiver.url) as hook:
        await hook.looked(Facts([old, fact(2, at=NOW - timedelta(minutes=5))]), resource())
        await hook.flush(60)
    assert receiver.versions == [2]


async def test_nothing_is_lost_while_the_receiver_is_away() -> None:
    async with serving(Receiver()) as receiver:
        url = receiver.url
    async with telling(url) as hook:
        await hook.looked(Facts([fact(n) for n in range(1, 6)]), resource())
        await asyncio.sleep(0.1)
        assert hook.waiting == 5
        async with serving(receiver, int(url.split(":")[2].split("/")[0])):
            await hook.flush(60)
            assert receiver.versions == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
async def test_an_error_that_may_pass_is_tried_again(status: int) -> None:
    async with serving(Receiver([status, status, 200])) as receiver, telling(receiver.url) as hook:
        await hook.looked(Facts([fact(1), fact(2)]), resource())
        await hook.flush(60)
    assert receiver.versions == [1, 2]
    assert receiver.tries == 4


async def test_it_waits_as_long_as_the_receiver_says() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    receiver = Receiver([503, 503, 200], headers={"Retry-After": "30"})
    async with serving(receiver), telling(receiver.url, sleep=sleep) as hook:
        await hook.looked(Facts([fact(1)]), resource())
        await hook.flush(60)
    assert len(waits) == 2
    assert all(30 <= wait < 31 for wait in waits)


async def test_pauses_grow_to_a_limit_and_an_event_that_nobody_takes_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    waits: list[float] = []
    time = [NOW]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        time[0] += timedelta(seconds=seconds)

    ends: list[str] = []
    async with (
        serving(Receiver([500])) as receiver,
        telling(receiver.url, sleep=sleep, clock=lambda: time[0], count=ends.append) as hook,
    ):
        await hook.looked(Facts([fact(1)]), resource())
        await hook.flush(60)
    assert ends == ["dropped"]
    assert waits[0] < 1.3
    assert max(waits) <= 60 * 1.2
    assert 900 <= sum(waits) < 1000
    assert "promoted" in caplog.text


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404])
async def test_what_will_not_pass_is_dropped_and_the_next_one_goes_out(status: int, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere = Receiver()
    async with (
        serving(elsewhere),
        serving(Receiver([status, 200], headers={"Location": elsewhere.url})) as receiver,
        telling(receiver.url, header=("Authorization", SECRET)) as hook,
    ):
        await hook.looked(Facts([fact(1), fact(2)]), resource())
        await hook.flush(60)
    assert receiver.versions == [2]
    assert elsewhere.tries == 0, "a redirect would have carried the secret away"
    assert f"status {status}" in caplog.text


async def test_a_slow_receiver_holds_up_no_reconcile_and_is_asked_again() -> None:
    async with serving(Receiver(slow=0.5)) as receiver, telling(receiver.url, timeout=0.1) as hook:
        async with asyncio.timeout(30):
            await hook.looked(Facts([fact(n) for n in range(500)]), resource())
        await until(lambda: receiver.tries >= 2)
        receiver.slow = 0.0
        await hook.flush(60)
    assert sorted(set(receiver.versions)) == list(range(500))


async def test_the_line_is_bounded_and_keeps_the_newest(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook, "MAX_WAITING", 10)
    made = Webhook("http://127.0.0.1:1/hook", clock=lambda: NOW)
    await made.looked(Facts([fact(n) for n in range(25)]), resource())
    assert (made.waiting, made.dropped) == (10, 15)
    assert "10 events wait already" in caplog.text


async def test_the_secret_goes_along_and_into_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        serving(Receiver([401])) as receiver,
        telling(f"{receiver.url}?token=t0k3n", header=("X-Token", SECRET + "\n")) as hook,
    ):
        await hook.looked(Facts([fact(1)]), resource())
        await hook.flush(60)
    assert receiver.seen[0]["X-Token"] == SECRET
    assert "s3cr3t" not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("slipway"))
    assert "t0k3n" not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("slipway"))


async def test_events_of_one_resource_keep_their_order_and_others_go_on_beside_them() -> None:
    async with serving(Receiver()) as receiver, telling(receiver.url) as hook:
        for number in range(20):
            for name in ("a", "b", "c", "d", "e"):
                await hook.looked(Facts([fact(number)]), resource(name, name))
        await hook.flush(60)
    by_name: dict[str, list[int]] = {}
    for event in receiver.got:
        by_name.setdefault(event.get_data()["name"], []).append(event.get_data()["version"])
    assert by_name == {name: list(range(20)) for name in "abcde"}


async def test_without_a_url_nothing_is_kept() -> None:
    made = Webhook("")
    await made.looked(Facts([fact(1)]), resource())
    assert made.waiting == 0


async def test_what_is_gone_is_forgotten() -> None:
    made = Webhook("http://127.0.0.1:1/hook", clock=lambda: NOW)
    await made.looked(Facts([fact(1)]), resource())
    made.gone(Key("ModelDeployment", "default", "cancer"))
    await made.looked(Facts([fact(1)]), resource())
    assert made.waiting == 2
