"""The life of one server: live at once, ready when its models have answered, gone without losing a request."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from slipway.serving import log
from slipway.serving.access import CHECK_SECONDS, ApiKeys, Certificate
from slipway.serving.app import App
from slipway.serving.errors import ExitCode, StartError
from slipway.serving.health import health_routes
from slipway.serving.http.limits import Limits
from slipway.serving.http.listener import Listener, bound_socket
from slipway.serving.memory import memory_left, settle_memory
from slipway.serving.metrics import Metrics
from slipway.serving.models import Models
from slipway.serving.monitoring.traces import tracer_from
from slipway.serving.settings import Options, environment

if TYPE_CHECKING:
    from slipway.serving.grpc.server import GrpcServer

T = TypeVar("T")


class Server:
    """One process, one event loop, one or several models."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.ready = False
        self.why = "the model is loading"
        self.metrics = Metrics()
        self._keys = ApiKeys(options.api_key_file) if options.api_key_file is not None else None
        self._certificate: Certificate | None = None
        if options.tls_cert is not None and options.tls_key is not None:
            self._certificate = Certificate(options.tls_cert, options.tls_key)
        authorised = self._keys.allows if self._keys is not None else None
        self._app = App(self.metrics, authorised=authorised, access_log=options.access_log, tracer=tracer_from(environment()))
        self._listener = Listener(self._app, _limits(options))
        self.metrics.in_flight = lambda: self._listener.site.in_flight
        self.metrics.connections = lambda: len(self._listener.site.connections)
        self._grpc: GrpcServer | None = None
        self._born = monotonic()

    async def run(self) -> int:
        """Until a signal; gives the exit code. Raises StartError and MemoryError when a model cannot be served."""
        loop = asyncio.get_running_loop()
        stop, hurry = loop.create_future(), asyncio.Event()

        def on_signal(number: signal.Signals) -> None:
            if stop.done():
                hurry.set()
            else:
                stop.set_result(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        await self._listen()
        refreshing = loop.create_task(self._refresh())
        try:
            loading = loop.create_task(self._load())
            await asyncio.wait((loading, stop), return_when=asyncio.FIRST_COMPLETED)
            if loading.done():
                loading.result()
                await stop
            else:
                loading.cancel()
            return await self._leave(stop.result(), hurry)
        finally:
            refreshing.cancel()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def _listen(self) -> None:
        """Starts to answer: health and metrics at first. Raises StartError when the address cannot be had."""
        options = self.options
        self._app.routes = health_routes(self, _own_version)
        if options.shadow:
            from slipway.serving.shadow.control import Shadow

            shadow = Shadow(self._app, options.shadow)
            self._app.routes = {**self._app.routes, **shadow.routes()}
            self.metrics.always.append(shadow.families)
        try:
            listening = bound_socket(options.host, options.port, shared=options.workers > 1)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise StartError(
                f"cannot listen on {options.host} port {options.port}: {why}: choose with --host and --port", ExitCode.USAGE
            ) from error
        port = listening.getsockname()[1]
        await self._listener.open(listening, self._certificate.context if self._certificate is not None else None)
        host = f"[{options.host}]" if ":" in options.host else options.host
        scheme = "https" if self._certificate is not None else "http"
        log.line("listening", url=f"{scheme}://{host}:{port}", pid=os.getpid())

    async def _load(self) -> None:
        """Makes the models ready. Raises StartError, MemoryError."""
        entries, at_start, control = await in_thread(self._configured)
        models = Models(self._app, self.metrics, entries, in_thread, control=control)
        for name in at_start:
            prepared = await models.load(name)
            log.line("loaded", **prepared.description, seconds=round(monotonic() - self._born, 3))
        models.refresh()
        if self.options.grpc_port:
            from slipway.serving.grpc.server import GrpcServer

            self._grpc = await GrpcServer.start(self, models, _own_version())
        self._app.loading = False
        self.ready = self.metrics.ready = True
        log.line("ready", models=len(at_start), seconds=round(monotonic() - self._born, 3))
        threading.Thread(target=self._settle, name="settle", daemon=True).start()

    def _settle(self) -> None:
        """What readiness need not wait for."""
        self.metrics.render()  # so that the first scrape need not import the library
        settle_memory()

    def _configured(self) -> tuple[Mapping[str, Options], tuple[str, ...], bool]:
        """Options by model, those to load now, and whether clients may load and unload."""
        options = self.options
        if options.models is None:
            name = options.name or options.model
            return {name: options}, (name,), False
        from slipway.serving.configuration import read_models

        configured = read_models(options.models, options)
        return configured.options, configured.at_start, True

    async def _refresh(self) -> None:
        """Looks whether keys and certificate have changed; runs for ever."""
        while self._keys is not None or self._certificate is not None:
            await asyncio.sleep(CHECK_SECONDS)
            for files in (self._keys, self._certificate):
                if files is not None:
                    files.refresh()

    def authorised(self, key: str) -> bool:
        """Whether `key` may ask, for protocols other than HTTP/1.1."""
        return self._keys is None or self._keys.allows_key(key)

    async def _leave(self, number: signal.Signals, hurry: asyncio.Event) -> int:
        """Not ready at once; answers on until proxies know; then only finishes what has begun. A second signal ends the
        waiting for proxies."""
        options = self.options
        self.ready = self.metrics.ready = False
        self.why = "the server is stopping"
        self._listener.drain()
        drain = options.drain if number == signal.SIGTERM else 0.0
        log.line("stopping", signal=number.name, in_flight=self._listener.site.in_flight, drain_seconds=drain)
        with suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), drain)
        closing = [self._listener.close(options.grace)]
        if self._grpc is not None:
            closing.append(self._grpc.close(options.grace))
        lost = sum(await asyncio.gather(*closing))
        if self._app.tracer is not None:
            await in_thread(self._app.tracer.close)
        if lost:
            log.line("stopped", level="error", lost=lost, reason=f"not answered within {options.grace:g} s")
            return int(ExitCode.FAILED)
        log.line("stopped", lost=0)
        return int(ExitCode.DONE)


def _limits(options: Options) -> Limits:
    left = memory_left()
    buffered = Limits.max_buffered if left is None else min(Limits.max_buffered, max(options.max_body, left // 4))
    return Limits(
        max_body=options.max_body,
        max_buffered=buffered,
        max_connections=options.max_connections,
        timeout=options.timeout,
        head_timeout=min(Limits.head_timeout, options.timeout),
    )


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


def _own_version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # a start need not wait for it

    try:
        return version("slipway")
    except PackageNotFoundError:  # run from an image that holds the files alone
        return "unknown"
