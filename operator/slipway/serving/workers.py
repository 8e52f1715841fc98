"""Several server processes on one port: the system spreads connections over them. Each has models and metrics of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from types import FrameType

from slipway.serving import log
from slipway.serving.errors import ExitCode, StartError
from slipway.serving.http.listener import bound_socket
from slipway.serving.settings import Options


def serve_with_workers(options: Options, serve: Callable[[Options], None]) -> int:
    """Runs `options.workers` processes of `serve`, which must not return, until a signal or until one of them ends; then
    all end. Gives the exit code: 0 when all gave 0, else that of the first that did not. Raises StartError."""
    try:
        # bound and not listening: it takes no connections, and holds a port that was asked for as 0
        held = bound_socket(options.host, options.port, shared=True)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StartError(f"cannot listen on {options.host} port {options.port}: {why}", ExitCode.USAGE) from error
    chosen = replace(options, port=held.getsockname()[1])
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=serve, args=(chosen,), name=f"worker-{at}") for at in range(options.workers)]
    for worker in workers:
        worker.start()

    told: list[int] = []

    def tell(number: int, _frame: FrameType | None = None) -> None:
        told.append(number)
        for worker in workers:
            with suppress(ProcessLookupError):
                if worker.pid is not None and worker.exitcode is None:
                    os.kill(worker.pid, number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    wait([worker.sentinel for worker in workers])
    if not told:  # a second signal would cut short what the first began
        log.line("a worker ended: the others end too", level="error")
        tell(signal.SIGTERM)
    for worker in workers:
        worker.join()
    held.close()
    # a worker that was killed has a negative code
    return next((abs(worker.exitcode or 0) for worker in workers if worker.exitcode), int(ExitCode.DONE))
