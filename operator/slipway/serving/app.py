"""HTTP on RSGI: routes, limits, time-outs, errors and counting. What an endpoint does is `slipway.serving.endpoints`'.

Source of the interface: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import orjson

from slipway.serving import log
from slipway.serving.errors import BadInput, HTTPError, InputRefused, ModelFailed
from slipway.serving.metrics import Metrics
from slipway.serving.monitoring.observer import REQUEST, request_id
from slipway.serving.service import ApplicationFailed

Headers = list[tuple[str, str]]

JSON: Final = "application/json"
_SWEEP_SECONDS: Final = 0.25
_CLOSE: Final = ("connection", "close")


@dataclass(frozen=True)
class Get:
    """An endpoint without a body. `answer` gives status, content type and body, at once. `model`: whose it is, for the
    metrics; empty for the server's own."""

    name: str
    answer: Callable[[], tuple[int, str, bytes]]
    model: str = ""


@dataclass(frozen=True)
class Post:
    """An endpoint that takes JSON and gives JSON."""

    name: str
    answer: Callable[[bytes], Awaitable[bytes]]
    model: str = ""


Routes = Mapping[str, Get | Post]


class App:
    """The RSGI application. One event loop; `routes` is replaced when the model is there."""

    def __init__(self, metrics: Metrics, *, max_body: int, timeout: float, access_log: bool = False) -> None:
        self.metrics = metrics
        self.routes: Routes = {}
        self.loading = True
        """Unknown paths are answered 503 as long as not all routes are there."""
        self._max_body = max_body
        self._timeout = timeout
        self._access_log = access_log
        self._draining = False
        self._headers: Headers = [("content-type", JSON)]
        self._in_flight: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        metrics.in_flight = lambda: len(self._in_flight)

    @property
    def in_flight(self) -> int:
        """Requests that have begun and are not answered."""
        return len(self._in_flight)

    def drain(self) -> None:
        """From now on every answer closes its connection, so that clients go elsewhere."""
        self._draining = True
        self._headers = [("content-type", JSON), _CLOSE]

    async def sweep(self) -> None:
        """Ends requests that take too long; runs for ever."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = perf_counter()
            for task, deadline in list(self._in_flight.items()):
                if deadline > now:
                    break  # they are in the order of their beginning
                if task not in self._expired:
                    self._expired.add(task)
                    task.cancel()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """One request."""
        if scope.proto != "http":
            protocol.close(403)
            return
        route = self.routes.get(scope.path)
        if type(route) is Post and scope.method == "POST":
            await self._post(route, scope, protocol)
        else:
            self._get(route, scope, protocol)

    async def _post(self, route: Post, scope: Any, protocol: Any) -> None:
        started = perf_counter()
        task = asyncio.current_task()
        assert task is not None
        self._in_flight[task] = started + self._timeout
        headers = scope.headers
        asked, status, reading = request_id(headers), 200, True
        REQUEST.set(asked)
        try:
            body = await self._read(headers, protocol)
            reading = False
            answer = await route.answer(body)
            protocol.response_bytes(200, [*self._headers, ("x-request-id", asked)], answer)
        except asyncio.CancelledError:
            if task not in self._expired:
                status = 499  # the client went away
                return
            # A time-out is answered here and goes no further, for the cancelling was our own.
            task.uncancel()
            error: Exception = self._too_slow(reading)
            status = self._fail(protocol, scope, error, asked)
        except Exception as error:
            status = self._fail(protocol, scope, self._hinted(error, headers), asked)
        finally:
            del self._in_flight[task]
            self._expired.discard(task)
            self._count(route, status, started, scope, asked)

    def _get(self, route: Get | Post | None, scope: Any, protocol: Any) -> None:
        started = perf_counter()
        asked, status = request_id(scope.headers), 200
        try:
            if route is None:
                raise self._unknown(scope.path)
            if type(route) is not Get or scope.method not in ("GET", "HEAD"):
                allowed = "POST" if type(route) is Post else "GET, HEAD"
                raise HTTPError(405, f"{scope.method} is not for {scope.path}: use {allowed}", headers=(("allow", allowed),))
            status, content_type, answer = route.answer()
            headers = [("content-type", content_type), *self._headers[1:], ("x-request-id", asked)]
            protocol.response_bytes(status, headers, answer)
        except Exception as error:
            status = self._fail(protocol, scope, error, asked)
        finally:
            self._count(route, status, started, scope, asked)

    async def _read(self, headers: Any, protocol: Any) -> bytes:
        """The body. Raises HTTPError: 400 when it ends early, 413, 415."""
        kind = headers.get("content-type")
        if kind is not None and kind != JSON and not _is_json(kind):
            raise HTTPError(415, f"content-type {kind[:80]!r}: send {JSON}" + _binary_hint(headers))
        length = headers.get("content-length")
        try:
            if length is not None:
                if int(length) > self._max_body:
                    raise self._too_large(int(length))
                return bytes(await protocol())
            pieces, size = [], 0
            async for piece in protocol:
                size += len(piece)
                if size > self._max_body:
                    raise self._too_large(size)
                pieces.append(piece)
            return b"".join(pieces)
        except (HTTPError, asyncio.CancelledError):
            raise
        except Exception as error:  # the transport's own: the connection broke, or what came is not what was announced
            raise BadInput(f"body: it ended before the {length or 'last'} bytes that were announced") from error

    def _too_large(self, size: int) -> HTTPError:
        return HTTPError(413, f"body: {size} bytes, at most {self._max_body}", headers=(_CLOSE,))

    def _too_slow(self, reading: bool) -> HTTPError:
        if reading:
            return HTTPError(408, f"body: not all there after {self._timeout:g} s", headers=(_CLOSE,))
        return HTTPError(504, f"no answer from the model within {self._timeout:g} s")

    def _unknown(self, path: str) -> HTTPError:
        if self.loading:
            return HTTPError(503, "the model is still loading", headers=(("retry-after", "1"),))
        return HTTPError(404, f"there is no {path[:200]}{self._nearest(path)}; GET /openapi.json lists what there is")

    def _nearest(self, path: str) -> str:
        from difflib import get_close_matches

        close = get_close_matches(path[:200], list(self.routes), n=1, cutoff=0.7)
        return f"; did you mean {close[0]}?" if close else ""

    @staticmethod
    def _hinted(error: Exception, headers: Any) -> Exception:
        """An error about JSON that is a binary tensor request's says so."""
        if isinstance(error, BadInput) and error.message.startswith("body: not JSON"):
            return BadInput(error.message + _binary_hint(headers))
        return error

    def _fail(self, protocol: Any, scope: Any, error: Exception, asked: str) -> int:
        """Answers request `asked` with an error; gives the status."""
        known = error if isinstance(error, HTTPError) else _as_http(error, asked)
        if known.status >= 500 and not isinstance(error, HTTPError):
            log.line("request failed", level="error", error=error, request_id=asked, path=scope.path, status=known.status)
        headers = [*self._headers, ("x-request-id", asked), *known.headers]
        try:
            protocol.response_bytes(known.status, headers, orjson.dumps({"error": known.message}))
        except Exception as gone:  # there is nobody to answer any more
            if self._access_log:
                log.line("client went away", request_id=asked, path=scope.path, reason=type(gone).__name__)
        return known.status

    def _count(self, route: Get | Post | None, status: int, started: float, scope: Any, asked: str) -> None:
        seconds = perf_counter() - started
        if route is None:
            self.metrics.answered("", "unknown", status, seconds)
        else:
            self.metrics.answered(route.model, route.name, status, seconds)
        if self._access_log:
            log.line(
                "request", method=scope.method, path=scope.path, status=status, ms=round(seconds * 1000, 3),
                client=scope.client, request_id=asked,
            )  # fmt: skip


def _as_http(error: Exception, asked: str) -> HTTPError:
    """How an exception is answered; what it says of our inside is kept to the log."""
    if isinstance(error, InputRefused):
        return BadInput(f"the model refuses these inputs: {error}")
    if isinstance(error, ModelFailed):
        return HTTPError(500, f"the model failed on these inputs (request {asked}, see the server's log)")
    if isinstance(error, ApplicationFailed):
        return HTTPError(500, f"{error} (request {asked}, see the server's log)")
    if isinstance(error, MemoryError):
        return HTTPError(503, "not enough memory for this request: send fewer rows", headers=(("retry-after", "1"),))
    return HTTPError(500, f"internal error (request {asked}, see the server's log)")


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def _binary_hint(headers: Any) -> str:
    if headers.get("inference-header-content-length") is None:
        return ""
    return "; the binary tensor extension is not supported: send tensors as JSON (binary_data=False)"
