"""The probes and the metrics over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from slipway.reconcile.health import Health, Heartbeat
from slipway.telemetry.metrics import OperatorMetrics


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    served = Health(OperatorMetrics())
    await served.start("127.0.0.1", 0)
    yield served
    await served.stop()


async def ask(health: Health, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{health.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_all_is_well_when_nothing_is_wrong(health: Health) -> None:
    health.ready["store"] = lambda: None
    assert await ask(health, "/livez") == (200, "ok\n")
    assert await ask(health, "/readyz") == (200, "[+] store\nok\n")


async def test_what_is_wrong_is_named_and_live_is_not_ready(health: Health) -> None:
    health.ready["store"] = lambda: "s3://slipway: no answer"
    health.ready["kinds"] = lambda: None
    status, text = await ask(health, "/readyz")
    assert status == 503
    assert "[-] store: s3://slipway: no answer" in text
    assert "[+] kinds" in text
    assert (await ask(health, "/livez"))[0] == 200


async def test_metrics_are_what_prometheus_reads(health: Health) -> None:
    status, text = await ask(health, "/metrics")
    assert status == 200
    assert "# TYPE workqueue_depth gauge" in text
    assert "_created" not in text


async def test_a_taken_port_is_an_error_at_once(health: Health) -> None:
    with pytest.raises(OSError):
        await Health(OperatorMetrics()).start("127.0.0.1", health.port)


async def test_a_blocked_loop_is_noticed() -> None:
    metrics = OperatorMetrics()
    heart = Heartbeat(metrics, interval=0.001, limit=0.3)
    task = asyncio.create_task(heart.run())
    await asyncio.sleep(0.005)
    assert heart.check() is None
    time.sleep(0.4)  # noqa: ASYNC251  blocking is the point
    while heart.check() is None:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    assert "blocked" in (heart.check() or "")
