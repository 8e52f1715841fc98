"""Free ports on loopback that stay free until their server is started, and between its restarts.

Asking the kernel for a port and closing it again is a race: the next to ask may get the same. These ports come from below the
range the kernel gives out by itself, and a name in the abstract socket namespace marks each as taken for as long as this process
lives. Any number of test runs on one machine thus never choose the same.
"""

from __future__ import annotations

import random
import socket
from types import TracebackType
from typing import Self

from local.errors import LocalError

_LOWEST, _HIGHEST = 20000, 32000


class Ports:
    """Reserves ports; releases them at :meth:`close`, or when this process ends."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._marks: list[socket.socket] = []
        self._random = random.Random()

    def take(self, *, also: int = 0) -> int:
        """Reserve a free port, with `also` the port that many above it too. Raises LocalError if there is none left."""
        for _ in range(2000):
            port = self._random.randrange(_LOWEST, _HIGHEST - also)
            wanted = [port, port + also] if also else [port]
            marks = [mark for mark in map(self._mark, wanted) if mark is not None]
            if len(marks) == len(wanted):
                self._marks += marks
                return port
            for mark in marks:
                mark.close()
        raise LocalError(f"no free port between {_LOWEST} and {_HIGHEST} on {self._host}")

    def close(self) -> None:
        """Give the ports back."""
        for mark in self._marks:
            mark.close()
        self._marks.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _mark(self, port: int) -> socket.socket | None:
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mark.bind(f"\0slipway-port-{port}")
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
                trial.bind((self._host, port))
        except OSError:
            mark.close()
            return None
        return mark
