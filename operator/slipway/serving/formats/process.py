"""A model in processes of its own: what holds Python's lock for long must not hold up health and metrics, and what brings
a process down must not end the server."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from slipway.serving.errors import ModelFailed, StartError
from slipway.serving.formats import Known, Model
from slipway.serving.signature import Signature
from slipway.serving.tensors import Array

_loaded: Model | None = None
"""The model of this process, when it is one of the pool."""


class ProcessModel:
    """A `Model` whose runs happen in one of `processes` processes. Thread-safe: runs beyond that wait."""

    inline = False

    def __init__(self, path: Path, format_name: str, known: Known, processes: int) -> None:
        """Raises StartError, MemoryError, as loading it here would."""
        self.format = format_name
        self.processes = processes
        self._how = (str(path), format_name, known)
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        try:
            self.signature: Signature = self._pool.submit(_signature, *self._how).result()
        except BrokenProcessPool as error:
            raise StartError(f"{path.name}: its process ended while it was loaded: raise the memory limit") from error

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Raises what the model raises; ModelFailed when its process ends, which makes a new one."""
        pool = self._pool
        try:
            return pool.submit(_run, self._how, list(arrays)).result()
        except BrokenProcessPool as error:
            with self._lock:
                if self._pool is pool:
                    self._pool = self._new_pool()
                    pool.shutdown(wait=False)
            raise ModelFailed("the model's process ended during this run; a new one was started") from error

    def close(self) -> None:
        """Ends the processes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _new_pool(self) -> ProcessPoolExecutor:
        # not forked: the event loop's threads and sockets are none of theirs
        return ProcessPoolExecutor(self.processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Ctrl-C is the server's business. When that has ended, however it did, its processes end too."""
    import os
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=follow, name="follow", daemon=True).start()


def _model(path: str, format_name: str, known: Known) -> Model:
    global _loaded
    if _loaded is None:
        from slipway.serving.formats import open_model

        _loaded = open_model(Path(path), format_name, known)
    return _loaded


def _signature(path: str, format_name: str, known: Known) -> Signature:
    return _model(path, format_name, known).signature


def _run(how: tuple[str, str, Known], arrays: list[Any]) -> list[Any]:
    return _model(*how).run(arrays)
