"""Doing a few blocking calls at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from slipway.storage.port import Progress

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(call: Callable[[T], R], items: Iterable[T], parallel: int, stop: threading.Event | None = None) -> list[R]:
    """`call` of each item, at most `parallel` at once; answers in the order of the items. The first error is raised
    once the calls under way have ended; those not begun are dropped. `stop` is set at an error, and when the caller is
    interrupted (Ctrl-C), for calls that look at it."""
    jobs = list(items)
    if len(jobs) <= 1 or parallel <= 1:
        return [call(job) for job in jobs]
    pool = ThreadPoolExecutor(min(parallel, len(jobs)))
    try:
        return list(pool.map(call, jobs))
    except BaseException:
        if stop is not None:
            stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def serialised(progress: Progress | None) -> Progress | None:
    """`progress`, called by one thread at a time."""
    if progress is None:
        return None
    lock, call = threading.Lock(), progress

    def told(moved: int) -> None:
        with lock:
            call(moved)

    return told


def stoppable(progress: Progress | None, stop: threading.Event) -> Progress:
    """`progress`, called by one thread at a time; once `stop` is set it raises KeyboardInterrupt there too: only one thread is told
    of Ctrl-C, and the others would move all their bytes to the end."""
    told = serialised(progress)

    def step(moved: int) -> None:
        if told is not None:
            told(moved)
        if stop.is_set():
            raise KeyboardInterrupt

    return step
