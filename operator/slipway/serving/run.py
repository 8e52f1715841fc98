"""`slipway serve` as a function: runs a server to its end, and says why when it cannot start."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NoReturn

from slipway.serving import log
from slipway.serving.errors import StartError
from slipway.serving.settings import TERMINATION_LOG, Options

_KUBELET_READS = 4096
"""Bytes of a termination message that the kubelet takes."""


def serve(options: Options) -> int:
    """Serves until SIGTERM or SIGINT. Gives the exit code: 0 when every request that had begun was answered, else one of
    `slipway.serving.errors.ExitCode`. A failed start leaves one line on stderr, and in the termination log."""
    try:
        if options.workers > 1:
            from slipway.serving.workers import serve_with_workers

            return serve_with_workers(options, _worker)
        return _one(options)
    except StartError as error:
        return fail(error, options)
    except MemoryError as error:
        return fail(StartError(f"out of memory: {error or 'the model does not fit'}: raise the memory limit"), options)
    except Exception as error:
        log.line("unexpected error", level="error", error=error)
        return fail(StartError(f"unexpected {type(error).__name__}: {error}"), options)
    finally:
        # not imported: then there is nothing to close
        sinks = sys.modules.get("slipway.serving.monitoring.sink")
        if sinks is not None:
            sinks.close_all()


def _one(options: Options) -> int:
    from slipway.serving.memory import keep_freed_memory
    from slipway.serving.server import Server

    keep_freed_memory(os.environ)
    return _run(Server(options).run())


def _worker(options: Options) -> NoReturn:
    """One of several processes."""
    try:
        code = _one(options)
    except (StartError, MemoryError) as error:
        code = fail(error if isinstance(error, StartError) else StartError(f"out of memory: {error}"), options)
    leave(code)


def main(options: Options) -> NoReturn:
    """`serve`, then out at once: a thread that still runs application code does not hold the process back."""
    leave(serve(options))


def leave(code: int) -> NoReturn:
    """Ends the process with what was written, without waiting for threads."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def fail(error: StartError, options: Options | None = None) -> int:
    """Says why the server cannot start; gives the exit code."""
    line = f"slipway serve: {error}"
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)
    path = options.termination_log if options is not None else TERMINATION_LOG
    # outside a container the default does not exist, and is not made
    if path != TERMINATION_LOG or path.exists():
        with suppress(OSError):
            path.write_bytes(f"{line}\n".encode()[:_KUBELET_READS])
    return int(error.code)


def _run(work: Coroutine[Any, Any, int]) -> int:
    """On uvloop where it is installed: it carries about a third more requests."""
    if find_spec("uvloop") is None:
        return asyncio.run(work)
    return int(import_module("uvloop").run(work))
