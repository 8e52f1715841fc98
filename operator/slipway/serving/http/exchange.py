"""One request and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import Final, Protocol

JSON = "application/json"

_REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip


class Wire(Protocol):
    """Where the answer goes."""

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Writes the answer; `head` ends before the headers that the connection adds."""

    @property
    def peer(self) -> str:
        """``address:port`` of the client."""


class Exchange:
    """What was asked, and how to answer: once, by `reply`; later answers are dropped, so whoever comes too late need not
    know. `gone`: answered already, or the client went away."""

    __slots__ = (
        "body", "gone", "headers", "id", "keep_alive", "method", "note", "on_gone", "path", "query", "started", "status", "wire",
    )  # fmt: skip

    def __init__(self, wire: Wire, method: str, path: str, query: str, headers: Mapping[str, str], keep_alive: bool) -> None:
        self.wire = wire
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        """Names in lower case."""
        self.keep_alive = keep_alive
        self.body = b""
        self.id = ""
        self.started = perf_counter()
        self.status = 0
        self.gone = False
        self.on_gone: Callable[[], object] | None = None
        """Called when the client goes away before it was answered, or time is up."""
        self.note: object = None
        """The application's own, between its calls."""

    def reply(self, status: int, body: bytes, content_type: str = JSON, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answers. Control characters in header values become blanks."""
        if self.gone:
            return
        self.gone = True
        self.on_gone = None  # it holds what holds this: a request's memory is not to wait for the collector of cycles
        self.status = status
        if status == 200 and not headers and content_type == JSON:
            head = f"{OK_JSON}{len(body)}\r\nx-request-id: {self.id}\r\n"
        else:
            lines = "".join([f"{name}: {value.translate(_ONE_LINE)}\r\n" for name, value in headers])
            head = (
                f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\ncontent-type: {content_type}\r\n"
                f"content-length: {len(body)}\r\nx-request-id: {self.id}\r\n{lines}"
            )
        self.wire.send(self, head.encode("latin-1", "replace"), body)

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        if not self.gone:
            self.gone = True
            leave, self.on_gone = self.on_gone, None
            if leave is not None:
                leave()


_ONE_LINE = dict.fromkeys((*range(32), 127), " ")
"""What would end a header, or must not be in one, becomes a blank."""
OK_JSON: Final = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
"""The head of an answer with 200 and JSON, up to its length."""
