"""The models of one server: brought in, replaced once the new version has answered, and let go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import orjson

from slipway.serving import log
from slipway.serving.app import JSON, App, Direct, Get, Post, Route
from slipway.serving.errors import HTTPError, StartError
from slipway.serving.http.exchange import Exchange
from slipway.serving.memory import settle_memory
from slipway.serving.metrics import Metrics
from slipway.serving.settings import Options

if TYPE_CHECKING:
    from slipway.serving.prepare import Prepared

_CONTROL = "/v2/repository/models/"


@dataclass
class Entry:
    """One configured model. `state` and `reason` as the model repository extension has them."""

    options: Options
    state: str = "UNAVAILABLE"
    reason: str = "not loaded"
    prepared: Prepared | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Models:
    """All of them, by name. `prepare` blocks and runs on a thread. `control`: whether clients may load and unload."""

    def __init__(
        self,
        app: App,
        metrics: Metrics,
        entries: Mapping[str, Options],
        run: Callable[[Callable[[], Prepared]], asyncio.Future[Prepared]],
        *,
        control: bool,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._base = dict(app.routes)
        self._run = run
        self._control = control
        self.entries = {name: Entry(options) for name, options in entries.items()}
        metrics.waiting = lambda: sum(prepared.batcher.waiting for prepared in self.loaded())
        if control:
            app.other = self._control_route

    def loaded(self) -> list[Prepared]:
        """Those that answer, in the order of the configuration."""
        return [entry.prepared for entry in self.entries.values() if entry.prepared is not None]

    async def load(self, name: str) -> Prepared:
        """Brings `name` in as its reference says now. What served before goes on until the new one has answered, and stays
        when that fails. Raises StartError, MemoryError."""
        from slipway.serving.prepare import prepare  # numpy and the rest are imported when health is answered already

        entry = self.entries[name]
        async with entry.lock:
            before = entry.prepared
            if before is None:
                entry.state, entry.reason = "UNAVAILABLE", "loading"
            try:
                prepared = await self._run(lambda: prepare(entry.options, self._metrics))
            except (StartError, MemoryError) as error:
                entry.reason = f"the last load failed: {error}"
                raise
            entry.prepared, entry.state, entry.reason = prepared, "READY", ""
            self.refresh()
            if before is not None:
                self._retire(before)
            if not self._app.loading:
                settle_memory()
            return prepared

    async def unload(self, name: str) -> None:
        """Lets `name` go; what it has begun is still answered."""
        entry = self.entries[name]
        async with entry.lock:
            before, entry.prepared = entry.prepared, None
            entry.state, entry.reason = "UNAVAILABLE", "unloaded"
            self.refresh()
            if before is not None:
                self._retire(before)
                log.line("unloaded", model=name)

    def index(self) -> list[dict[str, str]]:
        """What the model repository extension tells of each."""
        told = []
        for name, entry in self.entries.items():
            about = entry.prepared.endpoints.identity if entry.prepared is not None else None
            known = (about.name, about.version) if about is not None else (name, "")
            told.append({"name": known[0], "version": known[1], "state": entry.state, "reason": entry.reason})
        return told

    def _retire(self, prepared: Prepared) -> None:
        # no request that it has begun lasts longer
        asyncio.get_running_loop().call_later(2 * self._longest() + 1, in_background, prepared.close)

    def _longest(self) -> float:
        return max(entry.options.timeout for entry in self.entries.values())

    def refresh(self) -> None:
        """Routes and metrics as they follow from what is loaded; one assignment, so that no request sees half of it."""
        loaded = self.loaded()
        routes: dict[str, Route] = dict(self._base)
        for prepared in loaded:
            routes.update(prepared.routes)
        names = orjson.dumps({"models": [prepared.endpoints.identity.name for prepared in loaded]})

        @cache
        def described() -> bytes:
            from slipway.serving.openapi import document

            return orjson.dumps(document([prepared.endpoints.shown() for prepared in loaded], control=self._control))

        @cache
        def shown() -> bytes:
            from slipway.serving.page import page

            return page([prepared.endpoints.shown() for prepared in loaded]).encode()

        routes["/v1/models"] = Get("v1_models", lambda: (200, JSON, names))
        routes["/openapi.json"] = Get("openapi", lambda: (200, JSON, described()))
        routes["/"] = Get("page", lambda: (200, "text/html; charset=utf-8", shown()))
        routes["/v2/repository/index"] = Post("repository_index", self._index)
        if len(self.entries) == 1 and loaded:
            only = loaded[0].endpoints.identity.name
            routes["/predict"], routes["/feedback"] = routes[f"/predict/{only}"], routes[f"/v2/models/{only}/feedback"]
        self._app.routes = routes
        self._metrics.more = [prepared.watch.families for prepared in loaded]
        self._metrics.more += [prepared.online.families for prepared in loaded if prepared.online is not None]
        self._metrics.models.clear()
        for prepared in loaded:
            about = prepared.endpoints.identity
            self._metrics.models[about.name] = (about.version, about.digest, prepared.located.format)

    async def _index(self, body: bytes) -> bytes:
        ready_only = False
        if body.strip():
            from slipway.serving.protocol.body import read_object

            ready_only = read_object(body).get("ready") is True
        return orjson.dumps([entry for entry in self.index() if entry["state"] == "READY" or not ready_only])

    def _control_route(self, path: str) -> Route | None:
        if not path.startswith(_CONTROL):
            return None
        name, _, verb = path.removeprefix(_CONTROL).rpartition("/")
        if verb not in ("load", "unload") or not name:
            return None
        return Direct(f"repository_{verb}", lambda exchange: self._controlled(exchange, name, verb))

    async def _controlled(self, exchange: Exchange, name: str, verb: str) -> None:
        await self.controlled(name, verb)
        exchange.reply(200, b"{}")

    async def controlled(self, name: str, verb: str) -> None:
        """Does what a client asks: ``load`` or ``unload``. Raises HTTPError."""
        if not self._control:
            raise HTTPError(404, "models are loaded and unloaded only on a server that was started with --models")
        if name not in self.entries:
            raise HTTPError(400, f"there is no model {name[:100]!r}: this server is configured for {', '.join(self.entries)}")
        if verb == "unload":
            await self.unload(name)
        else:
            try:
                # a client that goes away does not stop what it began
                prepared = await asyncio.shield(self.load(name))
            except (StartError, MemoryError) as error:
                raise HTTPError(400 if isinstance(error, StartError) else 503, f"{name}: {error}") from error
            log.line("loaded", **prepared.description)


def in_background(work: Callable[[], None]) -> None:
    """`work` on a thread that the process does not wait for."""
    threading.Thread(target=work, name="retire", daemon=True).start()
