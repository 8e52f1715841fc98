"""Requests at a fixed rate, and how long each waited. Times are from when a request was due, so that a stall counts for all requests
that it holds up. Runs with the standard library alone, in anybody's environment."""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

CONNECTIONS = 16
"""Each of the load's threads has one: a server that takes 30 ms for an answer can still be asked 500 times a second."""
WARM = 200
ROUNDS = 3
"""Each begins anew; the one in the middle by its p99 counts. One stall of a busy machine is the p99 of the round that it falls into."""


def quantiles(seconds: list[float]) -> dict[str, float]:
    """In milliseconds."""
    ordered = sorted(seconds)
    found = {f"p{q}": ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))] for q in (50, 95, 99, 99.9)}
    return {name: round(value * 1000, 3) for name, value in (found | {"max": ordered[-1]}).items()}


def middle(once: Callable[[], list[float]]) -> dict[str, float]:
    """Milliseconds by quantile of the middle one of `ROUNDS` calls of `once`, which gives seconds."""
    return sorted((quantiles(once()) for _ in range(ROUNDS)), key=lambda ms: ms["p99"])[ROUNDS // 2]


def paced(
    ask: Callable[[int], object], entities: int, rate: float, seconds: float, *, first: int = 0, step: int = 1
) -> list[float]:
    """Calls `ask` with an entity for requests number `first`, `first` + `step`, … of `rate` a second. Gives seconds from when due."""
    draw, waits = random.Random(7 + first), []
    start = time.perf_counter() + 0.1
    for number in range(first, int(rate * seconds), step):
        due = start + number / rate
        if (pause := due - time.perf_counter()) > 0:
            time.sleep(pause)
        ask(draw.randrange(entities))
        waits.append(time.perf_counter() - due)
    return waits


class Connection:
    """One HTTP connection that is kept. `body` has ``%d`` where the entity's key belongs."""

    def __init__(self, port: int, path: str, body: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "
        self._body = body

    def ask(self, entity: int) -> bytes:
        """The answer's body. Raises RuntimeError for another answer than 200."""
        body = self._body % entity
        self._socket.sendall(f"{self._head}{len(body)}\r\n\r\n{body}".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, rest = got.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head!r} {rest!r}")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(rest) < length:
            rest += self._more()
        return rest

    def _more(self) -> bytes:
        if not (got := self._socket.recv(65536)):
            raise RuntimeError("the server closed the connection")
        return got


def load(port: int, path: str, body: str, entities: int, rate: float, seconds: float) -> dict[str, Any]:
    """Milliseconds by quantile of a server on this machine."""
    connections = [Connection(port, path, body) for _ in range(CONNECTIONS)]
    for number in range(WARM):
        connections[number % CONNECTIONS].ask(number % entities)

    def once() -> list[float]:
        waits: list[float] = []
        errors: list[Exception] = []

        def one(place: int) -> None:
            try:
                waits.extend(paced(connections[place].ask, entities, rate, seconds, first=place, step=CONNECTIONS))
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=one, args=(place,)) for place in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return waits

    return {"rate": rate, "ms": middle(once)}


if __name__ == "__main__":
    port, path, body, entities, rate, seconds = sys.argv[1:]
    print(json.dumps(load(int(port), path, body, int(entities), float(rate), float(seconds))))
