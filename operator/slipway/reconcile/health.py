"""/livez, /readyz and /metrics. Started before anything else, so that a slow start is seen rather than killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from slipway.telemetry.metrics import OperatorMetrics

Check = Callable[[], str | None]
"""None when all is well, else what is wrong, in words that hold no secret."""

KEEPALIVE = 1.0
"""Seconds. Idle connections would hold up the end of the process."""


class Health:
    """`live` answers whether a restart is needed, `ready` whether this instance can do its work. Both are checks by
    name and may be added to while it runs."""

    def __init__(self, metrics: OperatorMetrics) -> None:
        self.live: dict[str, Check] = {}
        self.ready: dict[str, Check] = {}
        self._metrics = metrics
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Serves on `host` and `port` (0: any free one, see `port`). Raises OSError when it is taken."""
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._get_metrics)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        address = self._runner.addresses[0]
        self.port = int(address[1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _livez(self, _request: web.Request) -> web.Response:
        return _answer(self.live)

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _answer(self.ready)

    async def _get_metrics(self, _request: web.Request) -> web.Response:
        body, content_type = self._metrics.exposition()
        return web.Response(body=body, headers={"Content-Type": content_type})


def _answer(checks: Mapping[str, Check]) -> web.Response:
    problems = {name: check() for name, check in checks.items()}
    lines = [f"[-] {name}: {problem}" if problem else f"[+] {name}" for name, problem in problems.items()]
    bad = any(problems.values())
    return web.Response(text="\n".join([*lines, "not ok" if bad else "ok"]) + "\n", status=503 if bad else 200)


class Heartbeat:
    """Measures how late the event loop wakes up: something that blocks it stops watches, lease and probes alike."""

    def __init__(self, metrics: OperatorMetrics, *, interval: float = 1.0, limit: float = 10.0) -> None:
        self._metrics = metrics
        self._interval = interval
        self._limit = limit
        self._lag = 0.0

    async def run(self) -> None:
        """Measures until cancelled."""
        while True:
            started = time.monotonic()
            await asyncio.sleep(self._interval)
            self._lag = time.monotonic() - started - self._interval
            self._metrics.loop_lag.set(self._lag)

    def check(self) -> str | None:
        """For `Health.live`."""
        return f"the event loop was blocked for {self._lag:.0f} s" if self._lag > self._limit else None
