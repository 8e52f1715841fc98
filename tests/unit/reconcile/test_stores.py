"""Blocking calls off the event loop."""

from __future__ import annotations

import threading

import pytest

from slipway.reconcile.stores import Inline, Threads
from slipway.storage.port import NotFound, Unavailable


async def test_a_call_gives_and_raises_what_its_function_does() -> None:
    threads = Threads(2)

    def missing() -> None:
        raise NotFound("no object")

    assert await threads.run(divmod, 7, 2) == (3, 1)
    assert await threads.run(sorted, [1, 2], reverse=True) == [2, 1]
    assert await Inline().run(divmod, 7, 2) == (3, 1)
    with pytest.raises(NotFound):
        await threads.run(missing)
    threads.close()


async def test_a_call_does_not_run_on_the_event_loop() -> None:
    threads = Threads(1)
    assert await threads.run(threading.get_ident) != threading.get_ident()
    threads.close()


async def test_a_call_that_takes_too_long_is_unavailable_and_the_others_go_on() -> None:
    threads = Threads(2, timeout=0.05)
    release = threading.Event()

    def slow() -> None:
        release.wait(5)

    with pytest.raises(Unavailable, match="slow"):
        await threads.run(slow)
    assert await threads.run(divmod, 7, 2) == (3, 1)
    release.set()
    threads.close()


async def test_a_time_out_of_the_functions_own_is_not_ours() -> None:
    threads = Threads(1)

    def own() -> None:
        raise TimeoutError("the socket's")

    with pytest.raises(TimeoutError, match="socket"):
        await threads.run(own)
    threads.close()
