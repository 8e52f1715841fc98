"""A proxy that does to HTTP what networks do: loses requests and answers, cuts bodies short, stalls, answers 5xx."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["lose request", "lose answer", "cut body", "stall", "503", "500 after commit"]
Chooser = Callable[[str, str], Fault | None]


def _no_fault(_method: str, _path: str) -> Fault | None:
    return None


@dataclass
class BadNetwork:
    """`choose` gives the fault for a request by method and path; None lets it pass. `seen` holds all requests."""

    endpoint: str
    choose: Chooser = _no_fault
    seen: list[tuple[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def once(self, fault: Fault, method: str, part: str = "", *, times: int = 1) -> None:
        """The next `times` requests of `method` whose path holds `part` meet `fault`."""
        left = [fault] * times
        lock = threading.Lock()

        def choose(actual: str, path: str) -> Fault | None:
            with lock:
                return left.pop() if left and actual == method and part in path else None

        self.choose = choose


@contextmanager
def bad_network(upstream: str) -> Iterator[BadNetwork]:
    """A proxy before `upstream` (``http://host:port``)."""
    target = urlsplit(upstream)
    network = BadNetwork("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            network.seen.append((self.command, self.path))
            fault = network.choose(self.command, self.path)
            if fault == "lose request":
                self._hang_up()
            elif fault == "stall":
                network.released.wait(timeout=60)
                self._hang_up()
            elif fault == "503":
                self._answer(503, b"<Error><Code>SlowDown</Code><Message>later</Message></Error>")
            else:
                self._forward(body, fault)

        def _forward(self, body: bytes, fault: Fault | None) -> None:
            connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers.items()))
                answer = connection.getresponse()
                data = answer.read()
                if fault == "lose answer":
                    self._hang_up()
                elif fault == "500 after commit":
                    self._answer(500, b"<Error><Code>InternalError</Code><Message>oops</Message></Error>")
                else:
                    self._pass_on(answer, data, cut=fault == "cut body")
            finally:
                connection.close()

        def _pass_on(self, answer: http.client.HTTPResponse, data: bytes, *, cut: bool) -> None:
            self.send_response_only(answer.status)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            if length is not None:
                self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self._hang_up()

        def _answer(self, status: int, data: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _hang_up(self) -> None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:
            return None

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _serve

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    network.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield network
    finally:
        network.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
