"""The bytes of one client: parsed, limited, and answered in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from slipway.serving.http.exchange import OK_JSON, Exchange
from slipway.serving.http.limits import Limits

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NAMES = {
    written: written.decode().lower()
    for written in (b"Host", b"host", b"Content-Type", b"content-type", b"Content-Length", b"content-length", b"User-Agent",
                    b"user-agent", b"Accept", b"accept", b"Accept-Encoding", b"accept-encoding", b"Connection", b"connection")
}  # fmt: skip
"""Header names as they are mostly written, in lower case."""
_PIPELINED = 16
"""Requests that may wait behind an unanswered one on the same connection before no more is read."""


class Application(Protocol):
    """What answers requests. None of its methods may raise or block."""

    def accepts(self, exchange: Exchange) -> bool:
        """Told of a request's head; False when it has been answered already, and the body is not wanted."""

    def handle(self, exchange: Exchange) -> None:
        """The request is whole."""

    def refuse(self, exchange: Exchange, status: int, message: str) -> None:
        """The connection found fault with a request: to be answered with `status`."""

    def answered(self, exchange: Exchange) -> None:
        """The answer is on its way, or (status 499) the client went away before."""

    def answered_all(self, exchanges: Sequence[Exchange]) -> None:
        """The same for some that were answered with 200, all of one endpoint."""


class Site:
    """What all connections of a server share."""

    def __init__(self, application: Application, limits: Limits) -> None:
        self.application = application
        self.limits = limits
        self.connections: set[Connection] = set()
        self.in_flight = 0
        """Requests that are whole and not answered."""
        self.buffered = 0
        """Bytes of bodies in memory."""
        self.draining = False
        self.date = b""
        """The Date header, ready to be written; kept by the listener."""
        self.idle_event: Callable[[], None] | None = None
        """Called whenever `in_flight` falls to 0."""

    def settle(self, count: int, size: int) -> None:
        """So many requests, with bodies of so many bytes, are no longer in flight."""
        self.in_flight -= count
        self.buffered -= size
        if not self.in_flight and self.idle_event is not None:
            self.idle_event()


def reply_all(exchanges: Sequence[Exchange], bodies: Sequence[bytes]) -> None:
    """Answers each with 200 and its JSON, as `Exchange.reply` does, and has them counted together. All are of one endpoint."""
    if not exchanges:
        return
    first = exchanges[0].wire
    site = first.site if type(first) is Connection else None
    size, done = 0, []
    if site is not None and not site.draining:
        deadline, date = perf_counter() + site.limits.idle, site.date.decode()
    else:
        site = None
    try:
        for exchange, body in zip(exchanges, bodies, strict=True):
            wire = exchange.wire
            if site is None or type(wire) is not Connection or not wire.only_waits_for(exchange, site):
                exchange.reply(200, body)
                continue
            exchange.gone = True
            exchange.status = 200
            size += len(exchange.body)
            done.append(exchange)
            wire.write_last(f"{OK_JSON}{len(body)}\r\nx-request-id: {exchange.id}\r\n{date}\r\n".encode() + body, deadline)
    finally:
        if site is not None and done:
            site.settle(len(done), size)
            site.application.answered_all(done)


class Connection(asyncio.Protocol):
    """One client. `deadline`: when the present state has lasted too long."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._application = site.application
        self._parser: Any = HttpRequestParser(self)
        self._transport: Any = None
        self.deadline = inf
        self._url = b""
        self._headers: dict[str, str] = {}
        self._head = 0
        self._begun = False
        self._reading: Exchange | None = None
        """The request whose body is being received."""
        self._pieces: list[bytes] = []
        self._size = 0
        self._busy: Exchange | None = None
        """The request that is being answered."""
        self._waiting: deque[Exchange] = deque()
        self._stalled = False
        self._closing = False
        """The last answer has been sent: what still comes is dropped."""
        self.peer = "-"

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        address = transport.get_extra_info("peername")
        self.peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "-"
        connections = self.site.connections
        connections.add(self)
        if len(connections) > self.site.limits.max_connections:
            self._early("", "", {})
            self._refuse(503, f"{self.site.limits.max_connections} connections are open already: try again")
            return
        self.deadline = perf_counter() + self.site.limits.idle

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if not self._begun and self._reading is None:
            self._begun = True
            self._head = 0
            if self._busy is None:
                self.deadline = perf_counter() + self.site.limits.head_timeout
        if self._reading is None:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:  # an upgrade that was offered and not taken: the answer goes out as HTTP/1.1
            if self._busy is not None:
                self._busy.keep_alive = False
        except HttpParserError as error:
            if isinstance(error.__context__, MemoryError) and self._reading is not None and not self._closing:
                self._refuse(503, f"body: not enough memory for {self._size} bytes: try again")
            elif not self._closing:
                self._malformed(error)
        if self._reading is None and self._begun and self._head > self.site.limits.max_head and not self._closing:
            self._early("", self._url.decode("latin-1")[:200], {})
            self._refuse(431, f"head: more than {self.site.limits.max_head} bytes")

    def pause_writing(self) -> None:
        self._stalled = True
        self.deadline = perf_counter() + self.site.limits.timeout
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._stalled = False
        self.deadline = perf_counter() + (self.site.limits.linger if self._closing else self.site.limits.idle)
        self._transport.resume_reading()
        self._next()

    def eof_received(self) -> bool:
        # a client that only half-closes cannot be told from one that left, and those are many: work for it ends
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self.site.connections.discard(self)
        self._closing = True
        self._drop_body()
        busy, self._busy = self._busy, None
        waiting, self._waiting = list(self._waiting), deque()
        for exchange in (busy, *waiting):
            if exchange is not None:
                self.site.settle(1, len(exchange.body))
                if not exchange.gone:
                    exchange.status = 499
                    exchange.abandon()
                    self._application.answered(exchange)

    # httptools

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._begun = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        key = _NAMES.get(name) or name.decode("latin-1").lower()
        if key in headers:
            headers[key] += "," + value.decode("latin-1")
        elif len(headers) < self.site.limits.max_headers:
            headers[key] = value.decode("latin-1")
        else:
            self._early("", "", {})
            self._refuse(431, f"head: more than {self.site.limits.max_headers} headers")

    def on_headers_complete(self) -> None:
        if self._closing:
            return
        self._begun = False
        parser, headers = self._parser, self._headers
        method, keep_alive = parser.get_method().decode("latin-1"), parser.should_keep_alive()
        path, _, query = self._url.decode("latin-1").partition("?")
        if "%" in path:
            path = unquote(path, errors="replace")
        exchange = self._reading = Exchange(self, method, path, query, headers, keep_alive)
        if self._busy is None:
            self.deadline = exchange.started + self.site.limits.timeout
        length = headers.get("content-length")
        if length is not None and int(length) > self.site.limits.max_body:
            self._refuse(413, f"body: {length} bytes, at most {self.site.limits.max_body}")
        elif not self._application.accepts(exchange):
            self._closing = True
        elif "expect" in headers and headers["expect"].lower() == "100-continue" and self._busy is None:
            self._transport.write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        if self._closing:
            return
        self._size += len(data)
        self.site.buffered += len(data)
        if self._size > self.site.limits.max_body:
            self._refuse(413, f"body: more than {self.site.limits.max_body} bytes")
        elif self.site.buffered > self.site.limits.max_buffered:
            self._refuse(503, "too many large requests at once: try again")
        else:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        exchange = self._reading
        if exchange is None or self._closing:
            return
        pieces = self._pieces
        exchange.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)  # where memory is short this may raise
        self._reading = None
        self._pieces, self._size = [], 0
        self.site.in_flight += 1
        if self._busy is not None or self._stalled or self._waiting:  # between two answers nobody may overtake who waits
            self._waiting.append(exchange)
            if len(self._waiting) >= _PIPELINED:
                self._transport.pause_reading()
            return
        self._busy = exchange
        self._application.handle(exchange)

    # answers

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Writes the answer of `exchange`, which ends the connection when either side wants that."""
        site = self.site
        if exchange is self._reading:
            # refused before its body was there
            exchange.keep_alive = False
        else:
            self.site.settle(1, len(exchange.body))
        last = not exchange.keep_alive or site.draining
        end = b"connection: close\r\n\r\n" if last else b"\r\n"
        self._transport.write(b"".join((head, site.date, end, body if exchange.method != "HEAD" else b"")))
        self._application.answered(exchange)
        if last:
            self._finish(lingering=exchange is self._reading)
            return
        self._busy = None
        if not self._stalled:
            self.deadline = perf_counter() + site.limits.idle
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)

    def only_waits_for(self, exchange: Exchange, site: Site) -> bool:
        """Whether to answer `exchange`, which is not answered yet, is all that there is to do on this connection."""
        return self._busy is exchange and exchange.keep_alive and not self._waiting and not self._stalled and self.site is site

    def write_last(self, answer: bytes, deadline: float) -> None:
        """Writes the answer that the connection only waited for."""
        self._busy = None
        self.deadline = deadline
        self._transport.write(answer)

    def expire(self) -> None:
        """The present state has lasted too long."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._closing or self._stalled:
            self._transport.abort()
        elif self._busy is not None:
            self._application.refuse(self._busy, 504, f"no answer from the model within {self.site.limits.timeout:g} s")
        elif self._reading is not None:
            self._refuse(408, f"body: not all there after {self.site.limits.timeout:g} s")
        elif self._begun:
            self._early("", self._url.decode("latin-1")[:200], {})
            self._refuse(408, f"head: not all there after {self.site.limits.head_timeout:g} s")
        else:
            self._transport.close()

    def close_if_idle(self) -> bool:
        """Closes a connection on which nothing is going on; whether it was one."""
        if self._busy is None and self._reading is None and not self._begun and not self._waiting:
            self._transport.close()
            return True
        return False

    def _next(self) -> None:
        """Goes on with what came while another request was being answered."""
        if self._busy is None and self._waiting and not self._stalled and not self._closing:
            exchange = self._busy = self._waiting.popleft()
            self.deadline = perf_counter() + self.site.limits.timeout
            if len(self._waiting) < _PIPELINED:
                self._transport.resume_reading()
            self._application.handle(exchange)

    def _early(self, method: str, path: str, headers: dict[str, str]) -> None:
        """Makes an exchange for what has no whole head, so that it can be refused."""
        if self._reading is None:
            self._reading = Exchange(self, method, path, "", headers, keep_alive=False)

    def _refuse(self, status: int, message: str) -> None:
        exchange = self._reading
        assert exchange is not None
        self._drop_body()
        if self._busy is not None:
            # an earlier request is still being answered: its answer is the last one
            self._busy.keep_alive = False
            self._closing = True
            return
        self._application.refuse(exchange, status, message)
        self._closing = True

    def _malformed(self, error: Exception) -> None:
        self._early("", self._url.decode("latin-1")[:200], {})
        self._refuse(400, f"not HTTP/1.1: {str(error)[:200]}")

    def _finish(self, *, lingering: bool) -> None:
        self._closing = True
        self._busy = None
        for exchange in self._waiting:
            self.site.settle(1, len(exchange.body))
            exchange.abandon()
        self._waiting.clear()
        if lingering and self._transport.can_write_eof():
            # closing with bytes unread would make the system discard the answer
            self._transport.write_eof()
            self.deadline = perf_counter() + self.site.limits.linger
        else:
            self._transport.close()
            self.deadline = perf_counter() + self.site.limits.timeout

    def _drop_body(self) -> None:
        self.site.buffered -= self._size
        self._pieces, self._size = [], 0
