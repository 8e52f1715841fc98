"""A real Redis server for tests: the one on the path, or Debian's, out of its packages and without installing them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from local import debian
from local.shell import find
from tests.fakes.stores import unused_port

PACKAGES = ("redis-tools", "libjemalloc2", "liblzf1", "libatomic1")
"""In Debian, redis-server is another name of a program of redis-tools, which looks at the name that it is called by."""
PASSWORD = "s3cret-of-tests"
DEADLINE = 60.0


def program() -> tuple[str, dict[str, str]]:
    """The server's file, and what it needs in its environment."""
    """The server, and what it needs in its environment."""
    if found := find("redis-server"):
        return str(found), {}
    kept = debian.unpacked("redis", PACKAGES)
    libraries = ":".join(str(path) for path in (kept / "usr/lib").glob("*-linux-gnu"))
    return str(kept / "usr/bin/redis-check-rdb"), {"LD_LIBRARY_PATH": libraries}


class RedisServer:
    """One server on a free port, in memory only."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self.port = unused_port()
        self.password = password
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        credentials = f":{self.password}@" if self.password else ""
        return f"redis://{credentials}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        executable, environment = program()
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(self._folder),
        ]
        if self.password:
            options += ["--requirepass", self.password]
        self._process = subprocess.Popen(
            ["redis-server", *options],
            executable=executable,
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + DEADLINE
        with redis.Redis.from_url(self.url) as client:
            while True:
                with suppress(redis.exceptions.ConnectionError):
                    client.ping()
                    return
                assert self._process.poll() is None, "the server ended at once"
                assert time.monotonic() < deadline, "the server did not answer"
                time.sleep(0.02)

    def freeze(self) -> None:
        """Connections are taken, and never answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def redis_server(folder: Path, *, password: str = "") -> Iterator[RedisServer]:
    """A server that answers."""
    server = RedisServer(folder, password=password)
    server.start()
    try:
        yield server
    finally:
        server.stop()
