"""The sockets of a server: opened, swept for what takes too long, and closed without losing a request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from time import gmtime, monotonic, perf_counter, struct_time

from slipway.serving.http.connection import Application, Connection, Site
from slipway.serving.http.limits import Limits

_SWEEP_SECONDS = 0.25
_BACKLOG = 2048
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Listener:
    """An HTTP server for `application` on one event loop."""

    def __init__(self, application: Application, limits: Limits) -> None:
        self.site = Site(application, limits)
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._quiet = asyncio.Event()

    async def open(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Begins to answer on a bound socket."""
        loop = asyncio.get_running_loop()
        self._date()
        self._server = await loop.create_server(
            lambda: Connection(self.site),
            sock=listening,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=self.site.limits.head_timeout if tls is not None else None,
        )
        self._sweeping = loop.create_task(self._sweep())

    def drain(self) -> None:
        """From now on every answer closes its connection, so that clients go elsewhere."""
        self.site.draining = True

    async def close(self, grace: float) -> int:
        """Takes no more connections, closes idle ones, and waits up to `grace` seconds for what has begun. Gives the
        number of requests that were not answered by then."""
        site = self.site
        self.drain()
        if self._server is not None:
            self._server.close()
        end = monotonic() + grace
        site.idle_event = self._quiet.set
        while True:
            for connection in list(site.connections):
                connection.close_if_idle()
            if not site.connections or monotonic() >= end:
                break
            self._quiet.clear()
            try:
                # a body that is still arriving counts as begun, and raises no event
                await asyncio.wait_for(self._quiet.wait(), min(0.05, max(0.0, end - monotonic())))
            except TimeoutError:
                continue
        if self._sweeping is not None:
            self._sweeping.cancel()
        return site.in_flight

    async def _sweep(self) -> None:
        second = 0
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = perf_counter()
            late = [connection for connection in self.site.connections if connection.deadline <= now]
            for connection in late:
                connection.expire()
            if int(now) != second:
                second = int(now)
                self._date()

    def _date(self) -> None:
        self.site.date = f"date: {http_date(gmtime())}\r\n".encode()


def http_date(at: struct_time) -> str:
    """UTC as RFC 9110 has it in headers. The same as `email.utils.formatdate`, whose import a start would wait for."""
    day, month = _DAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
    return f"{day}, {at.tm_mday:02d} {month} {at.tm_year} {at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} GMT"


def bound_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to `host` and `port`, 0 for any free one. `shared`: others of this program may bind the same.
    Raises OSError, UnicodeError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made
