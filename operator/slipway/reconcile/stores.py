"""Blocking calls (object storage, registry, Git) off the event loop: one bounded pool, and a time-out on every call."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar

from slipway.storage.port import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

DEFAULT_TIMEOUT = 60.0


class Blocking(Protocol):
    """Runs blocking functions for coroutines."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises. Raises `slipway.storage.port.Unavailable` when it takes too long."""


class Threads:
    """`Blocking` on a pool of threads. Callers beyond its size wait; `timeout` in seconds counts from the start of
    the wait.

    A call that timed out keeps its thread until the library below gives up, so clients need time-outs of their own."""

    def __init__(self, threads: int, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._timeout = timeout

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As the protocol says."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, functools.partial(function, *args, **kwargs))
        try:
            async with asyncio.timeout(self._timeout):
                return await future
        except TimeoutError as error:
            if future.done() and not future.cancelled():
                raise  # the function's own
            name = getattr(function, "__qualname__", str(function))
            raise Unavailable(f"no answer within {self._timeout:g} s ({name}); it is tried again") from error

    def close(self) -> None:
        """Lets running calls finish on their own and takes no new ones."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Inline:
    """`Blocking` that calls at once, in the caller's thread: for tests, where the order of calls has to be the same
    each time."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As the protocol says; there is no time-out."""
        return function(*args, **kwargs)
