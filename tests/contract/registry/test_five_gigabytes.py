"""A model of 5 GB goes up and is read back on a machine with 1 GB of memory.

The store here keeps nothing: what it gives back are zeros, as in the sparse file that is sent. A real one moves 600 MB in
`test_resume.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes.stores import credentials

ROOT = Path(__file__).parents[3]
SIZE = 5_000_000_000
PIECE = bytes(1 << 20)

MOVE = """
import resource, sys
from pathlib import Path
from slipway.registry import Registry

def peak():  # KiB of this program alone: getrusage's maximum begins, after exec, at what the parent held
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))

resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9))
registry, moved = Registry.open(sys.argv[1]), [0, 0]

def progress(count):
    moved[0] += 1
    moved[1] += count

entry = registry.blobs.put_file(Path(sys.argv[2]), progress)
print(entry.size, registry.blobs.verify(entry.digest), *moved, peak() >> 10)
"""


class Nowhere:
    """An S3 server that counts the bytes of an upload in parts, and gives back as many zeros."""

    def __init__(self) -> None:
        self.parts: dict[int, int] = {}
        self.done = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                return None

            def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", headers.get("Content_Length", str(len(body))))
                self.end_headers()
                self.wfile.write(body)

            def query(self) -> dict[str, list[str]]:
                return parse_qs(urlsplit(self.path).query, keep_blank_values=True)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if "uploads" in self.query():
                    self.answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
                else:
                    outer.done = sum(outer.parts.values())
                    self.answer(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

            def do_PUT(self) -> None:
                left = size = int(self.headers["Content-Length"])
                while left:
                    left -= len(self.rfile.read(min(left, len(PIECE))))
                with outer.lock:
                    outer.parts[int(self.query()["partNumber"][0])] = size
                self.answer(200, ETag='"x"')

            def do_HEAD(self) -> None:
                self.send_response(200 if outer.done and "/blobs/" in self.path else 404)
                self.send_header("Content-Length", str(outer.done))
                self.end_headers()

            def do_GET(self) -> None:
                if "uploads" in self.query():
                    self.answer(200, b"<ListMultipartUploadsResult/>")
                elif not (outer.done and "/blobs/" in self.path):
                    self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                else:
                    start = int((re.findall(r"bytes=(\d+)-", self.headers.get("Range", "")) or ["0"])[0])
                    self.send_response(206 if start else 200)
                    self.send_header("Content-Length", str(outer.done - start))
                    self.send_header("ETag", '"x"')
                    self.end_headers()
                    left = outer.done - start
                    while left:
                        self.wfile.write(memoryview(PIECE)[: min(left, len(PIECE))])
                        left -= min(left, len(PIECE))

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def nowhere() -> Iterator[Nowhere]:
    made = Nowhere()
    yield made
    made.close()


def test_five_gigabytes_move_in_one_gigabyte(nowhere: Nowhere, tmp_path: Path) -> None:
    with (tmp_path / "model").open("wb") as writer:
        writer.truncate(SIZE)
    env = {**os.environ, **credentials(("x", "y")), "AWS_ENDPOINT_URL_S3": nowhere.endpoint, "PYTHONPATH": str(ROOT / "operator")}
    env |= {"AWS_REGION": "us-east-1"}
    command = [sys.executable, "-c", MOVE, "s3://bucket/registry", str(tmp_path / "model")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    sent, read, calls, told, peak = map(int, done.stdout.split())
    assert sent == read == told == nowhere.done == SIZE
    assert calls > 100, "progress is told of in small steps"
    assert peak < 400, "MiB at most, all of the program included"
