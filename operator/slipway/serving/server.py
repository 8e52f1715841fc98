"""The life of one server: live at once, ready when the model has answered, gone without losing a request."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from slipway.serving import log
from slipway.serving.app import App
from slipway.serving.errors import ExitCode, StartError
from slipway.serving.health import health_routes
from slipway.serving.metrics import Metrics
from slipway.serving.settings import Options

if TYPE_CHECKING:
    from slipway.serving.prepare import Prepared

T = TypeVar("T")

MAX_HEAD: Final = 64 << 10
"""Bytes that a request's head may have."""
IDLE_MILLISECONDS: Final = 120_000
"""How long a kept connection may be silent, and a head may take to arrive: longer than clients keep theirs."""
BACKLOG: Final = 1024
MAX_CONNECTIONS: Final = 8192


class Server:
    """One process, one event loop, one model."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.ready = False
        self.why = "the model is loading"
        self.metrics = Metrics()
        self._app = App(self.metrics, max_body=options.max_body, timeout=options.timeout, access_log=options.access_log)
        self._born = monotonic()

    async def run(self) -> int:
        """Until a signal; gives the exit code. Raises StartError and MemoryError when the model cannot be served."""
        loop = asyncio.get_running_loop()
        stop, hurry = loop.create_future(), asyncio.Event()

        def on_signal(number: signal.Signals) -> None:
            if stop.done():
                hurry.set()
            else:
                stop.set_result(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        granian, listening = self._listen()
        sweeping = loop.create_task(self._app.sweep())
        try:
            if not await self._load(stop, listening):
                await asyncio.wait((stop, listening), return_when=asyncio.FIRST_COMPLETED)
            if not stop.done():
                raise _ended(listening)
            return await self._leave(stop.result(), hurry, granian, listening)
        finally:
            sweeping.cancel()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _listen(self) -> tuple[Any, asyncio.Task[None]]:
        """Starts to answer: health and metrics at first. Raises StartError when the address cannot be had."""
        from granian.constants import HTTPModes, Interfaces
        from granian.http import HTTP1Settings
        from granian.server.embed import Server as Granian

        self._app.routes = health_routes(self, _own_version())
        address, port = free_address(self.options.host, self.options.port)
        granian = Granian(
            self._app,
            address=address,
            port=port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=IDLE_MILLISECONDS, max_buffer_size=MAX_HEAD),
            websockets=False,
            backlog=BACKLOG,
            backpressure=MAX_CONNECTIONS,
            log_enabled=False,
        )
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        listening = asyncio.get_running_loop().create_task(granian.serve())
        log.line("listening", url=f"http://{host}:{port}", pid=os.getpid())
        return granian, listening

    async def _load(self, stop: asyncio.Future[Any], listening: asyncio.Task[None]) -> bool:
        """Makes the model ready; True when there was a signal, or the end of the HTTP server, first."""
        preparing = in_thread(self._prepare)
        await asyncio.wait((preparing, stop, listening), return_when=asyncio.FIRST_COMPLETED)
        if not preparing.done():
            return True
        prepared = preparing.result()
        self._app.routes = {**self._app.routes, **prepared.routes}
        self._app.loading = False
        # what was made so far stays: collections need not look at it again
        gc.collect()
        gc.freeze()
        self.ready = self.metrics.ready = True
        log.line("ready", **prepared.description, seconds=round(monotonic() - self._born, 3))
        # so that the first scrape need not import the library
        threading.Thread(target=self.metrics.render, name="metrics", daemon=True).start()
        return False

    def _prepare(self) -> Prepared:
        from slipway.serving.prepare import prepare  # numpy and the rest are imported when health is answered already

        return prepare(self.options, self.metrics)

    async def _leave(self, number: signal.Signals, hurry: asyncio.Event, granian: Any, listening: asyncio.Task[None]) -> int:
        """Not ready at once; answers on until proxies know; then only finishes what has begun. A second signal ends the
        waiting for proxies."""
        options = self.options
        self.ready = self.metrics.ready = False
        self.why = "the server is stopping"
        self._app.drain()
        drain = options.drain if number == signal.SIGTERM else 0.0
        log.line("stopping", signal=number.name, in_flight=self._app.in_flight, drain_seconds=drain)
        with suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), drain)
        granian.stop()
        done, _ = await asyncio.wait((listening,), timeout=options.grace)
        lost = self._app.in_flight
        if not done and lost:
            log.line("stopped", level="error", lost=lost, reason=f"not answered within {options.grace:g} s")
            return int(ExitCode.FAILED)
        log.line("stopped", lost=0)
        return int(ExitCode.DONE)


def _ended(listening: asyncio.Task[None]) -> StartError:
    """Why the HTTP server ended by itself."""
    error = listening.exception() if listening.done() and not listening.cancelled() else None
    return StartError(f"the HTTP server ended: {error or 'without a reason'}")


def in_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """`work` on a thread that does not hold the process back when it is to end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            _call(answer.set_exception, error)
        else:
            _call(answer.set_result, result)

    def _call(settle: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if answer.done() else settle(value))

    threading.Thread(target=run, name="load", daemon=True).start()
    return answer


def free_address(host: str, port: int) -> tuple[str, int]:
    """The IP address of `host`, and `port`, or a free one for 0. The HTTP server would share a port with whoever listens
    there already, so that is looked for here. Raises StartError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise StartError(f"--host {host!r}: {getattr(error, 'strerror', None) or error}", ExitCode.USAGE) from error
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return str(address[0]), int(probe.getsockname()[1])
    except OSError as error:
        why = error.strerror or str(error)
        raise StartError(f"cannot listen on {host} port {port}: {why}: choose with --host and --port") from error


def _own_version() -> str:
    try:
        return version("slipway")
    except PackageNotFoundError:  # run from an image that holds the files alone
        return "unknown"
