"""Registries for tests: the real CNCF distribution registry, and a proxy in front of it that breaks what it is told to."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import io
import json
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local import debian
from slipway.images.reference import Reference
from slipway.images.registry_client import RegistryClient

_PIECE = 64 << 10


@dataclass(frozen=True)
class Running:
    """A registry that answers at `host` (``127.0.0.1:port``) and keeps its files under `root`."""

    host: str
    root: Path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def distribution(root: Path, *, htpasswd: Path | None = None) -> Iterator[Running]:
    """``docker-registry serve`` on a free loopback port."""
    program = debian.installed("docker-registry", "docker-registry")
    port = _free_port()
    auth = "" if htpasswd is None else f"auth: {{htpasswd: {{realm: tests, path: {htpasswd}}}}}\n"
    config = root / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {root / 'data'}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: tests}}\n" + auth
    )
    process = subprocess.Popen([str(program), "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_answer(f"http://127.0.0.1:{port}/v2/", process)
        yield Running(f"127.0.0.1:{port}", root / "data")
    finally:
        process.kill()
        process.wait()


def _await_answer(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, "the registry ended at once"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url)
            return
        time.sleep(0.02)
    raise AssertionError(f"{url} did not answer within 30 s")


@dataclass(frozen=True)
class Fault:
    """What the proxy does to one request.

    `status`: answers so by itself. `cut_after`: closes the connection after so many bytes of the request's body went on.
    `lose_answer`: passes the request on, and closes the connection instead of answering."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut_after: int | None = None
    lose_answer: bool = False


@dataclass(frozen=True)
class Seen:
    """A request as the proxy got it. `size` is its body in bytes as announced."""

    method: str
    path: str
    headers: dict[str, str]
    size: int
    number: int


Script = Callable[[Seen], Fault | None]


class Proxy:
    """Passes requests on to a registry; `script` decides which to break; `seen` keeps all of them."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.script: Script = lambda _seen: None
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, method: str, part: str = "") -> int:
        """How many requests of `method` had `part` in their path."""
        return sum(1 for seen in self.seen if seen.method == method and part in seen.path)


class _Handler(http.server.BaseHTTPRequestHandler):
    owner: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        with self.owner.lock:
            seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, size, len(self.owner.seen) + 1)
            self.owner.seen.append(seen)
            fault = self.owner.script(seen)
        if fault is not None and fault.status is not None:
            self._answer(fault.status, fault.headers, fault.body, drain=size)
            return
        self._pass_on(seen, fault or Fault())

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _handle

    def _answer(self, status: int, headers: dict[str, str], body: bytes, *, drain: int = 0) -> None:
        while drain:
            drain -= len(self.rfile.read(min(_PIECE, drain))) or drain
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(self, seen: Seen, fault: Fault) -> None:
        upstream = http.client.HTTPConnection(self.owner.upstream, timeout=30)
        upstream.putrequest(seen.method, seen.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders()
        left = seen.size if fault.cut_after is None else min(fault.cut_after, seen.size)
        while left:
            piece = self.rfile.read(min(_PIECE, left))
            upstream.send(piece)
            left -= len(piece)
        if fault.cut_after is not None:
            _hang_up(upstream.sock)
            _hang_up(self.connection)
            self.close_connection = True
            return
        answer = upstream.getresponse()
        body = answer.read()
        if fault.lose_answer:
            _hang_up(self.connection)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "date", "server"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        upstream.close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class TokenService:
    """A token service for one user, and the answers of a registry that wants its tokens."""

    def __init__(self, user: str = "ann", password: str = "secret") -> None:
        self.user, self.password = user, password
        self.asked: list[str] = []
        self.valid = {"t1"}

        class Handler(_TokenHandler):
            owner = self

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def guard(self, seen: Seen) -> Fault | None:
        """401 with a challenge unless the request has a valid token."""
        token = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.valid:
            return None
        challenge = f'Bearer realm="{self.url}",service="registry",scope="repository:x:pull"'
        return Fault(status=401, headers={"WWW-Authenticate": challenge})


class _TokenHandler(http.server.BaseHTTPRequestHandler):
    owner: TokenService
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.owner.asked.append(self.path)
        wanted = "Basic " + base64.b64encode(f"{self.owner.user}:{self.owner.password}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            self._send(401, {"errors": [{"code": "UNAUTHORIZED"}]})
            return
        self._send(200, {"token": sorted(self.owner.valid)[-1], "expires_in": 60})

    def _send(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def layer_files(client: RegistryClient, where: Reference, digest: str) -> dict[str, bytes]:
    """The regular files of a layer, by their path."""
    data = client.blob(where, digest, limit=64 << 20)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]
