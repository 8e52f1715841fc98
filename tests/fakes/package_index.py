"""A package index (PEP 503) over a few wheels, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Index:
    """`url` is what a resolver is given; `seen` are the paths that it asked for."""

    url: str
    seen: list[str] = field(default_factory=list)


@contextmanager
def package_index(*wheels: Path) -> Iterator[Index]:
    """Serves `wheels`."""
    files = {path.name: path.read_bytes() for path in wheels}
    index = Index("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            index.seen.append(self.path)
            name = self.path.strip("/").rpartition("/")[2]
            if self.path.startswith("/files/"):
                self._answer(200 if name in files else 404, files.get(name, b""), "application/octet-stream")
                return
            mine = [file for file in sorted(files) if file.partition("-")[0].replace("_", "-") == name]
            page = "".join(f'<a href="/files/{file}">{file}</a>' for file in mine)
            self._answer(200 if mine else 404, f"<!DOCTYPE html><html><body>{page}</body></html>".encode(), "text/html")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
