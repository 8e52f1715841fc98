"""Progress for a person, on stderr: each step with its time, long steps showing that they are alive."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """Prints one line per step that did something. Quiet if there was nothing to do."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False, beat: float = 15.0) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet
        self._beat = beat
        self._begin = time.monotonic()
        self.lines = 0

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._begin

    def say(self, text: str) -> None:
        """Print one line with the time since the start."""
        self.lines += 1
        if not self._quiet:
            print(f"[{self.elapsed:6.1f} s] {text}", file=self._stream, flush=True)

    @contextmanager
    def step(self, text: str, alive: Callable[[], str] | None = None) -> Iterator[None]:
        """Time one step; after it, print its line. While it lasts, print ``alive()`` every few seconds."""
        begin, done = time.monotonic(), threading.Event()

        def beat() -> None:
            while not done.wait(self._beat):
                self.say(f"{text} … {alive() if alive else 'still at it'}")

        watcher = threading.Thread(target=beat, daemon=True)
        watcher.start()
        try:
            yield
        except BaseException:
            self.say(f"{text}: failed after {time.monotonic() - begin:.1f} s")
            raise
        finally:
            done.set()
            watcher.join()
        self.say(f"{text} ({time.monotonic() - begin:.1f} s)")
