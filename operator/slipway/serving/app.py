"""From requests to endpoints: routes, access, errors, counting. What an endpoint does is `slipway.serving.endpoints`'."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from time import perf_counter
from typing import Any, Final, Protocol

from slipway.serving import log
from slipway.serving.errors import HTTPError
from slipway.serving.failures import RETRY, answer_error, fail
from slipway.serving.http.exchange import JSON, Exchange
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.observer import REQUEST, request_id
from slipway.serving.monitoring.traces import Tracer

__all__ = ["JSON", "App", "Direct", "Get", "Post", "Routes"]


@dataclass(frozen=True)
class Get:
    """An endpoint without a body. `answer` gives status, content type and body, at once. `model`: whose it is, for the
    metrics; empty for the server's own. `open`: answered without an API key."""

    name: str
    answer: Callable[[], tuple[int, str, bytes]]
    model: str = ""
    open: bool = False


@dataclass(frozen=True)
class Post:
    """An endpoint that takes JSON and gives JSON, as a coroutine. `open`: answered without an API key."""

    name: str
    answer: Callable[[bytes], Awaitable[bytes]]
    model: str = ""
    open: bool = False


@dataclass(frozen=True)
class Direct:
    """An endpoint that answers its exchange itself, now or later, without a task of its own: the quick way. `begin` may
    raise what endpoints raise, and may give a coroutine to be run instead."""

    name: str
    begin: Callable[[Exchange], Coroutine[Any, Any, None] | None]
    model: str = ""
    binary: bool = False
    """Whether bodies that are no JSON are taken."""


Route = Get | Post | Direct
Routes = Mapping[str, Route]


class Watcher(Protocol):
    """Looks at answers without a part in them (`slipway.serving.shadow`)."""

    def watch(self, exchange: Exchange, endpoint: str, model: str) -> None: ...


class App:
    """The application of a `Listener`. `routes` is replaced when models come and go."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        authorised: Callable[[Exchange], bool] | None = None,
        access_log: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        self.metrics = metrics
        self.tracer = tracer
        self.routes: Routes = {}
        self.loading = True
        """Unknown paths are answered 503 as long as not all routes are there."""
        self.other: Callable[[str], Route | None] = lambda _path: None
        """Routes that depend on names which are not known beforehand."""
        self.shadow: Watcher | None = None
        """None while no request is copied."""
        self._authorised = authorised
        self._access_log = access_log
        self._tasks: set[asyncio.Task[None]] = set()

    # slipway.serving.http.connection.Application

    def accepts(self, exchange: Exchange) -> bool:
        """Routes and access, before the body is read."""
        headers = exchange.headers
        exchange.id = request_id(headers)
        route = self.routes.get(exchange.path) or self.other(exchange.path)
        exchange.note = route
        try:
            if self._authorised is not None and not _is_open(route) and not self._authorised(exchange):
                raise HTTPError(401, "an API key is needed: send it as Authorization: Bearer …", headers=_CHALLENGE)
            if route is None:
                raise self._unknown(exchange.path)
            if type(route) is Get:
                if exchange.method not in ("GET", "HEAD"):
                    raise _not_allowed(exchange, "GET, HEAD")
            elif exchange.method != "POST":
                raise _not_allowed(exchange, "POST")
            else:
                kind = headers.get("content-type")
                if kind is not None and kind != JSON and not _is_json(kind) and not (type(route) is Direct and route.binary):
                    raise HTTPError(415, f"content-type {kind[:80]!r}: send {JSON}")
        except HTTPError as error:
            if not self._has_body(headers):
                exchange.note = _Refusal(route, error)  # answered when the request is whole: the connection can be kept
                return True
            answer_error(exchange, error)
            return False
        return True

    def handle(self, exchange: Exchange) -> None:
        """One request, whole."""
        route = exchange.note
        try:
            if type(route) is Direct:
                if self.shadow is not None:
                    self.shadow.watch(exchange, route.name, route.model)
                later = route.begin(exchange)
                if later is not None:
                    self._run(exchange, later)
            elif type(route) is Post:
                self._run(exchange, self._post(route, exchange))
            elif type(route) is Get:
                status, content_type, answer = route.answer()
                exchange.reply(status, answer, content_type)
            elif type(route) is _Refusal:
                exchange.note = route.route
                raise route.error
        except Exception as error:
            fail(exchange, error)

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """The connection found fault with a request, or its time is up."""
        if not exchange.id:
            exchange.id = request_id(exchange.headers)
        leave = exchange.on_gone
        answer_error(exchange, HTTPError(status, message, headers=RETRY if status == 503 else ()))
        if leave is not None:
            leave()

    def answered(self, exchange: Exchange) -> None:
        """Counts."""
        seconds = perf_counter() - exchange.started
        route = exchange.note
        if route is None or type(route) is _Refusal:
            self.metrics.answered("", "unknown", exchange.status, seconds)
        else:
            assert isinstance(route, Get | Post | Direct)
            self.metrics.answered(route.model, route.name, exchange.status, seconds)
            if self.tracer is not None and route.model and self.tracer.takes(exchange.headers):
                _trace(self.tracer, route, exchange, seconds)
        if self._access_log:
            log.line(
                "request", method=exchange.method, path=exchange.path[:500], status=exchange.status,
                ms=round(seconds * 1000, 3), client=exchange.wire.peer, request_id=exchange.id,
            )  # fmt: skip

    def answered_all(self, exchanges: Sequence[Exchange]) -> None:
        """Counts, all at once."""
        route = exchanges[0].note
        if self._access_log or not isinstance(route, Direct):
            for exchange in exchanges:
                self.answered(exchange)
            return
        now = perf_counter()
        self.metrics.answered_all(route.model, route.name, [exchange.started for exchange in exchanges], now)
        tracer = self.tracer
        if tracer is not None and route.model:
            for at in tracer.taken([exchange.headers for exchange in exchanges]):
                _trace(tracer, route, exchanges[at], now - exchanges[at].started)

    async def _post(self, route: Post, exchange: Exchange) -> None:
        exchange.reply(200, await route.answer(exchange.body))

    def _run(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        """Answers by a coroutine, which is cancelled when nobody waits for it any more."""
        task = asyncio.get_running_loop().create_task(self._watched(exchange, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        exchange.on_gone = task.cancel

    async def _watched(self, exchange: Exchange, work: Coroutine[Any, Any, None]) -> None:
        REQUEST.set(exchange.id)
        try:
            await work
        except asyncio.CancelledError:
            return
        except Exception as error:
            fail(exchange, error)

    @staticmethod
    def _has_body(headers: Mapping[str, str]) -> bool:
        return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers

    def _unknown(self, path: str) -> HTTPError:
        if self.loading:
            return HTTPError(503, "the model is still loading", headers=RETRY)
        close = get_close_matches(path[:200], list(self.routes), n=1, cutoff=0.7)
        nearest = f"; did you mean {close[0]}?" if close else ""
        return HTTPError(404, f"there is no {path[:200]}{nearest}; GET /openapi.json lists what there is")


_CHALLENGE: Final = (("www-authenticate", "Bearer"),)


@dataclass(frozen=True)
class _Refusal:
    """What a request without a body will be answered."""

    route: Route | None
    error: HTTPError


def _is_open(route: Route | None) -> bool:
    return isinstance(route, Get | Post) and route.open


def _trace(tracer: Tracer, route: Route, exchange: Exchange, seconds: float) -> None:
    attributes: dict[str, str | int] = {
        "http.request.method": exchange.method,
        "url.path": exchange.path[:500],
        "http.response.status_code": exchange.status,
        "slipway.model": route.model,
        "slipway.request_id": exchange.id,
    }
    tracer.answered(f"{exchange.method} {route.name}", attributes, exchange.headers, seconds, failed=exchange.status >= 500)


def _not_allowed(exchange: Exchange, allowed: str) -> HTTPError:
    message = f"{exchange.method} is not for {exchange.path[:200]}: use {allowed}"
    return HTTPError(405, message, headers=(("allow", allowed),))


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))
