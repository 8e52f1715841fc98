"""Application code around the model: a class with any of `preprocess`, `predict` and `postprocess`.

    class Service:
        takes = "records"                     # or "arrays", the default

        def __init__(self, context): ...      # slipway.serving.Context; may be left out
        def preprocess(self, inputs): ...     # what was sent -> what the model takes
        def predict(self, inputs): ...        # instead of the model's own answer
        def postprocess(self, outputs): ...   # what the model gave -> the answer

Each may be ``async``. None of it runs on the server's own event loop: coroutines have a loop on a thread of their own, the
others run on `threads` threads (a class attribute; 1, the default, means one call at a time). With ``takes = "records"`` inputs and
outputs are lists of objects by column name, one per row; with ``"arrays"`` they are objects of numpy arrays by tensor name.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.serving.errors import HTTPError, StartError, first_line
from slipway.serving.monitoring.observer import CALLS

if TYPE_CHECKING:
    from slipway.serving.formats import Model

RECORDS, ARRAYS = "records", "arrays"


@dataclass(frozen=True)
class Context:
    """What application code is given. `metadata`: name, version, digest, params, metrics and tags of the version."""

    model: Handle
    metadata: Mapping[str, Any] = field(default_factory=dict)


class Handle:
    """The model, for code that calls it itself."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.signature = model.signature

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name (numpy arrays) for inputs by name; arrays with the rows first. Raises ValueError for inputs
        that do not fit the signature."""
        import numpy as np

        tensors = self.signature.inputs
        missing = [tensor.name for tensor in tensors if tensor.name not in inputs]
        if missing:
            raise ValueError(f"inputs {missing} are missing: the model takes {[tensor.name for tensor in tensors]}")
        arrays = [np.asarray(inputs[tensor.name], dtype=tensor.dtype) for tensor in tensors]
        outputs = self._model.run(arrays)
        calls = CALLS.get()
        if calls is not None:
            # copies: what application code does with its arrays is its own affair
            calls.append(([array.copy() for array in arrays], [np.array(array) for array in outputs]))
        return {tensor.name: array for tensor, array in zip(self.signature.outputs, outputs, strict=True)}


class Service:
    """Application code, loaded."""

    def __init__(self, application: Any, name: str) -> None:
        """Raises StartError for a class that has none of the methods, or an unknown `takes`."""
        self.name = name
        self.takes = getattr(application, "takes", ARRAYS)
        if self.takes not in (RECORDS, ARRAYS):
            raise StartError(f'{name}.takes is {self.takes!r}: write "records" or "arrays"')
        self._steps = {
            step: method
            for step in ("preprocess", "predict", "postprocess")
            if callable(method := getattr(application, step, None))
        }
        if not self._steps:
            raise StartError(f"{name} has none of preprocess, predict, postprocess")
        threads = getattr(application, "threads", 1)
        if type(threads) is not int or not 1 <= threads <= 256:
            raise StartError(f"{name}.threads is {threads!r}: write a number from 1 to 256")
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="application")
        self._loop: asyncio.AbstractEventLoop | None = None

    def has(self, step: str) -> bool:
        """Whether the class has the method `step`."""
        return step in self._steps

    async def call(self, step: str, value: Any) -> Any:
        """What `step` makes of `value`. Raises HTTPError as the code does, ApplicationFailed for anything else."""
        method = self._steps[step]
        try:
            if inspect.iscoroutinefunction(method):
                return await self._aside(method(value))
            context = copy_context()
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, context.run, method, value)
            return await self._aside(_awaited(answer)) if inspect.isawaitable(answer) else answer
        except (HTTPError, asyncio.CancelledError):
            raise
        except BaseException as error:  # SystemExit in application code must not end the server
            raise ApplicationFailed(f"{self.name}.{step} raised {type(error).__name__}") from error

    async def _aside(self, work: Coroutine[Any, Any, Any]) -> Any:
        """A coroutine of the application, on its own loop: should it block, health and metrics do not."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="application-loop", daemon=True).start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_caught(work), self._loop))

    def close(self) -> None:
        """Lets the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


async def _caught(work: Coroutine[Any, Any, Any]) -> Any:
    """`work`, whose SystemExit would end the loop it runs on."""
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"raised {type(error).__name__}") from error


class ApplicationFailed(Exception):
    """Application code raised, or gave something that cannot be answered. The cause is logged, never sent."""


def load_service(folder: str, entrypoint: str, context: Context) -> Service:
    """The class at `entrypoint` (``module:Class``), constructed. `folder` is put on the import path when it is given.
    Raises StartError, whose cause is the application's own exception."""
    module_name, colon, attribute = entrypoint.partition(":")
    if not (colon and module_name and attribute and all(part.isidentifier() for part in attribute.split("."))):
        raise StartError(f"--entrypoint {entrypoint!r}: write module:Class, for example app:Service")
    if folder:
        if not Path(folder).is_dir():
            raise StartError(f"--app {folder}: no such folder")
        sys.path.insert(0, str(Path(folder).resolve()))
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        own = error.name == module_name.partition(".")[0]
        where = f" in {folder}" if folder else " on the import path; give --app FOLDER"
        why = (
            f"there is no module {module_name!r}{where}"
            if own
            else f"it needs the package {error.name!r}, which is not installed"
        )
        raise StartError(f"--entrypoint {entrypoint}: {why}") from error
    except BaseException as error:  # SystemExit and the like at import
        raise StartError(f"--entrypoint {entrypoint}: import fails: {type(error).__name__}: {first_line(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise StartError(f"--entrypoint {entrypoint}: {module_name} has no {attribute!r}")
        found = getattr(found, part)
    return Service(_constructed(found, entrypoint, context), entrypoint)


def _constructed(found: Any, entrypoint: str, context: Context) -> Any:
    """The application object: the class called with the context, if its constructor takes one argument."""
    if not callable(found):
        raise StartError(f"--entrypoint {entrypoint}: a class belongs there, not a {type(found).__name__}")
    build: Callable[..., Any] = found
    try:
        return build(context) if _takes_context(build) else build()
    except Exception as error:
        raise StartError(f"--entrypoint {entrypoint}: {type(error).__name__}: {first_line(error)}") from error


def _takes_context(build: Callable[..., Any]) -> bool:
    try:
        inspect.signature(build).bind(None)
    except TypeError:
        return False
    except ValueError:  # no signature to be had, as of some built-in classes
        return False
    return True
