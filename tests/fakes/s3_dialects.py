"""An S3 server in memory that answers as different stores are documented to: for what the real one at hand does not do."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

TIME = "Sun, 01 Nov 2026 12:00:00 GMT"


@dataclass
class Dialect:
    """How a store answers. `conflict`: what a conditional write gets that meets another one under way: 409 on AWS; 0: it waits.
    `absent`: what a write gets that expects an object where none is: 404 on AWS, 412 on Ceph RGW. `ignores`: the
    header has no effect (Garage). `atomic` False: it is looked at without a lock (versitygw up to 1.7.0). `lose_every`: the
    answer to every so many writes is lost after they were done, or is `lose_with`. `list_seconds`: how long a list takes. `denies`: of "list" and
    "delete", what the credentials may not do; on AWS, who may not list is not told either that an object is not there."""

    name: str
    conflict: int = 0
    absent: int = 412
    ignores: bool = False
    atomic: bool = True
    lose_every: int = 0
    lose_with: int = 0
    list_seconds: float = 0.0
    denies: frozenset[str] = frozenset()


AWS = Dialect("AWS", conflict=409, absent=404)
CEPH = Dialect("Ceph RGW", absent=412)
R2 = Dialect("R2", lose_every=7)
VERSITYGW = Dialect("versitygw", absent=404)
NOT_FOUND = Dialect("404 for who came second", conflict=404, absent=404)
BUSY = Dialect("503 after it was done", lose_every=5, lose_with=503)
SLOW = Dialect("slow lists", list_seconds=0.05)
OLD_VERSITYGW = Dialect("versitygw 1.7.0", atomic=False)
GARAGE = Dialect("Garage", ignores=True)


@dataclass
class DialectServer:
    """A server on loopback; use as a context manager."""

    dialect: Dialect
    objects: dict[str, bytes] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)
    writes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> DialectServer:
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def replace(self, key: str, data: bytes, etag: str) -> tuple[int, str]:
        with self.lock:
            there = self.objects.get(key)
            if there is None:
                return self.dialect.absent, "NoSuchKey" if self.dialect.absent == 404 else "PreconditionFailed"
            if md5(there).hexdigest() != etag.strip('"'):
                return 412, "PreconditionFailed"
            self.objects[key] = data
        return 200, ""

    def put(self, key: str, data: bytes, conditional: bool) -> tuple[int, str]:
        if not conditional or self.dialect.ignores:
            with self.lock:
                self.objects[key] = data
            return 200, ""
        if not self.dialect.atomic:
            taken = key in self.objects
            time.sleep(0.01)  # between the look and the write
            if not taken:
                self.objects[key] = data
            return (412, "PreconditionFailed") if taken else (200, "")
        with self.lock:
            if self.dialect.conflict and key in self.under_way:
                return self.dialect.conflict, "ConditionalRequestConflict" if self.dialect.conflict == 409 else "NoSuchKey"
            if key in self.objects:
                return 412, "PreconditionFailed"
            self.under_way.add(key)
        time.sleep(0.005 if self.dialect.conflict else 0)  # the winner's write takes a moment, in which it cannot be read
        with self.lock:
            self.under_way.discard(key)
            if key in self.objects:
                return 412, "PreconditionFailed"
            self.objects[key] = data
        return 200, ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_state: DialectServer

    def log_message(self, *_: object) -> None:
        return None

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Last-Modified": TIME, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _fail(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        state = self.server_state
        expected = self.headers.get("If-Match")
        if expected is not None:
            status, code = state.replace(self._key(), data, expected)
        else:
            status, code = state.put(self._key(), data, self.headers.get("If-None-Match") == "*")
        with state.lock:
            state.writes += 1
            lost = state.dialect.lose_every and state.writes % state.dialect.lose_every == 0
        if lost and state.dialect.lose_with:
            self._fail(state.dialect.lose_with, "SlowDown")
        elif lost:
            self.close_connection = True  # done or refused: nobody is told
            self.connection.close()
        elif status == 200:
            self._answer(200, ETag=f'"{md5(data).hexdigest()}"')
        else:
            self._fail(status, code)

    def do_GET(self) -> None:
        if "list-type" in urlsplit(self.path).query:
            self._list()
            return
        if urlsplit(self.path).query.startswith("uploads"):
            self._answer(200, b"<ListMultipartUploadsResult/>")
            return
        data = self.server_state.objects.get(self._key())
        if data is None and "list" in self.server_state.dialect.denies:
            self._fail(403, "AccessDenied")
        elif data is None:
            self._fail(404, "NoSuchKey")
        else:
            self._answer(200, data, ETag=f'"{md5(data).hexdigest()}"')

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        if "delete" in self.server_state.dialect.denies:
            self._fail(403, "AccessDenied")
            return
        self.server_state.objects.pop(self._key(), None)
        self._answer(204)

    def _list(self) -> None:
        if "list" in self.server_state.dialect.denies:
            self._fail(403, "AccessDenied")
            return
        time.sleep(self.server_state.dialect.list_seconds)
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        after = query.get("continuation-token") or query.get("start-after", "")
        most = int(query.get("max-keys", 1000))
        with self.server_state.lock:
            keys = sorted(k for k in self.server_state.objects if k.startswith(query.get("prefix", "")) and k > after)
        if "delimiter" in query:  # folders only: nobody asks for the objects beside them
            prefix = query.get("prefix", "")
            folders = sorted({key[len(prefix) :].partition("/")[0] for key in keys if "/" in key[len(prefix) :]})
            found = "".join(f"<CommonPrefixes><Prefix>{escape(prefix + one)}/</Prefix></CommonPrefixes>" for one in folders)
            self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode())
            return
        page, more = keys[:most], len(keys) > most
        items = "".join(
            f"<Contents><Key>{escape(k)}</Key><Size>1</Size><ETag>x</ETag><LastModified>2026-11-01T12:00:00.000Z</LastModified></Contents>"
            for k in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        self._answer(
            200, f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>".encode()
        )
