"""HTTP/1.1 over plain sockets, several requests at once: what small requests to a store in the same network need, and no more.

Requests are bytes that somebody else has built and signed. They go out one per connection before the first answer is read, so
that several of them take little longer than one. Nothing is tried again here.
"""

from __future__ import annotations

import os
import select
import socket
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

_CHUNK = 1 << 16
_MOST_HEADERS = 1 << 16


class Broken(ConnectionError):
    """No whole answer came. The request may have been done all the same."""


@dataclass(frozen=True)
class Request:
    """What goes over the wire. `bodiless`: the answer to it has no body, whatever its headers say (HEAD)."""

    head: bytes
    body: bytes = b""
    bodiless: bool = False


@dataclass(frozen=True)
class Reply:
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    data: bytes


class Wire:
    """Connections to one server, kept open when they can be. Thread-safe. Times in seconds."""

    def __init__(self, host: str, port: int, *, connect_timeout: float, read_timeout: float, connections: int) -> None:
        self._address = (host, port)
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._at_once = max(1, connections)
        self._idle: deque[socket.socket] = deque(maxlen=self._at_once)
        self._process = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def exchange(self, requests: Sequence[Request]) -> list[Reply | Exception]:
        """The answers in the order of the requests, or why there is none (OSError; a `TimeoutError` among them)."""
        replies: list[Reply | Exception] = []
        for start in range(0, len(requests), self._at_once):
            some = requests[start : start + self._at_once]
            sent = [self._send(request) for request in some]
            replies += [self._receive(request, link) for request, link in zip(some, sent, strict=True)]
        return replies

    def _send(self, request: Request) -> socket.socket | OSError:
        link = None
        try:
            link = self._take()
            if len(request.body) <= _CHUNK:
                link.sendall(request.head + request.body)
            else:
                link.sendall(request.head)
                link.sendall(request.body)
        except OSError as error:
            if link is not None:
                link.close()
            return error
        return link

    def _receive(self, request: Request, link: socket.socket | OSError) -> Reply | Exception:
        if isinstance(link, OSError):
            return link
        try:
            reply, reusable = _Reader(link).reply(request.bodiless)
        except (OSError, ValueError) as error:
            link.close()
            return error if isinstance(error, OSError) else Broken(f"no HTTP came back: {error}")
        except BaseException:
            link.close()  # an answer is still to come: nobody may take it for that of another request
            raise
        if reusable and len(self._idle) < self._at_once:
            self._idle.append(link)
        else:
            link.close()
        return reply

    def _take(self) -> socket.socket:
        if self._process != os.getpid():
            # After a fork both would read from the same connections, and take each other's answers.
            _close_all(self._idle)
            self._process = os.getpid()
        while True:
            try:
                link = self._idle.pop()
            except IndexError:
                break
            if not _readable(link):
                return link
            link.close()  # ended by the server meanwhile
        link = socket.create_connection(self._address, self._connect_timeout)
        link.settimeout(self._read_timeout)
        # Else the kernel holds a small body back until its headers were acknowledged, 40 ms later.
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return link


class _Reader:
    """The answer on a connection."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._rest = b""

    def reply(self, bodiless: bool) -> tuple[Reply, bool]:
        """The answer, and whether the connection can carry another request."""
        while True:
            version, status, headers = self._head()
            if status >= 200:
                break
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if bodiless or status in (204, 304):
            data = b""
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            data = self._chunks()
        elif "content-length" in headers:
            data = self._exactly(int(headers["content-length"]))
        else:
            data, keep = self._to_end(), False
        return Reply(status, headers, data), keep and not self._rest

    def _head(self) -> tuple[str, int, dict[str, str]]:
        head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return version, int(rest[:3]), headers

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self._until(b"\r\n").partition(b";")[0], 16):
            parts.append(self._exactly(size))
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass  # trailers
        return b"".join(parts)

    def _until(self, mark: bytes) -> bytes:
        while (place := self._rest.find(mark)) < 0:
            if len(self._rest) > _MOST_HEADERS:
                raise Broken("headers without an end")
            self._rest += self._more()
        found, self._rest = self._rest[:place], self._rest[place + len(mark) :]
        return found

    def _exactly(self, size: int) -> bytes:
        parts, have = [self._rest], len(self._rest)
        while have < size:
            parts.append(self._more())
            have += len(parts[-1])
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]

    def _to_end(self) -> bytes:
        parts = [self._rest]
        self._rest = b""
        while data := self._link.recv(_CHUNK):
            parts.append(data)
        return b"".join(parts)

    def _more(self) -> bytes:
        data = self._link.recv(_CHUNK)
        if not data:
            raise Broken("the connection was closed")
        return data


def _readable(link: socket.socket) -> bool:
    """Whether something waits on a connection on which nothing should: its end, as a rule."""
    poll = select.poll()
    poll.register(link, select.POLLIN)
    return bool(poll.poll(0))


def _close_all(links: deque[socket.socket]) -> None:
    while links:
        links.pop().close()
