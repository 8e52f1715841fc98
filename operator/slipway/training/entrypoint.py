"""``module:function``: parsed, imported and checked, with words for each way that it can be wrong."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway.training.errors import EntrypointInvalid

_ENTRYPOINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def parse_entrypoint(text: str) -> tuple[str, str]:
    """``package.module:function`` as its two parts. Raises EntrypointInvalid."""
    if not _ENTRYPOINT.fullmatch(text):
        hint = ""
        stem = text.removesuffix(".py").replace("/", ".")
        if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", stem):
            hint = f"; did you mean {stem}:main?"
        raise EntrypointInvalid(f"entrypoint {text!r}: write module:function, for example train:main{hint}")
    module, _, function = text.partition(":")
    return module, function


def load_entrypoint(text: str, source: Path) -> Callable[[Any], Any]:
    """The function, imported with `source` first on the path. Raises EntrypointInvalid when the module is not there,
    does not import, has no such function, or the function cannot be called with one argument."""
    module_name, function_name = parse_entrypoint(text)
    sys.path.insert(0, str(source))
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise EntrypointInvalid(_missing(text, module_name, source, error)) from error
    except MemoryError:
        raise
    except BaseException as error:  # whatever the user's module does at import, SystemExit included
        raise EntrypointInvalid(f"entrypoint {text}: {module_name} does not import: {describe(error, source)}") from error
    function = getattr(module, function_name, None)
    if function is None:
        raise EntrypointInvalid(_no_attribute(text, module, module_name, function_name))
    _check_callable(text, function)
    return function  # type: ignore[no-any-return]


def describe(error: BaseException, source: Path, *, limit: int = 1500) -> str:
    """An exception for a person: its type, its text, and the last line of the user's own code that it came through."""
    kind = type(error).__name__
    if isinstance(error, SystemExit):
        text = f"sys.exit({error.code!r})"
    else:
        words = str(error).strip()
        text = f"{kind}: {words}" if words else kind
    if isinstance(error, SyntaxError) and error.filename:
        return text[:limit]
    where = last_frame(error, source)
    return f"{text[:limit]} ({where})" if where else text[:limit]


def last_frame(error: BaseException, source: Path) -> str:
    """``train.py:12 in main``: the innermost frame in a file below `source`; empty when there is none."""
    root = source.resolve()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_absolute() and path.resolve().is_relative_to(root):
            return f"{path.resolve().relative_to(root)}:{frame.lineno} in {frame.name}"
    return ""


def _missing(text: str, module_name: str, source: Path, error: ModuleNotFoundError) -> str:
    name = error.name or ""
    if name != module_name and not module_name.startswith(f"{name}."):
        return (
            f"entrypoint {text}: {describe(error, source)}: the source has no such module and the training image "
            f"does not hold it; use trainer.image with {name.partition('.')[0]} in it"
        )
    modules = sorted(path.stem for path in source.glob("*.py")) + sorted(
        path.name for path in source.iterdir() if path.is_dir() and any(path.glob("*.py"))
    )
    near = difflib.get_close_matches(module_name, modules, n=1)
    known = f"did you mean {near[0]}?" if near else f"it has {', '.join(modules[:10]) or 'no Python files'}"
    return f"entrypoint {text}: the source has no module {module_name!r}; {known}"


def _no_attribute(text: str, module: Any, module_name: str, function_name: str) -> str:
    functions = sorted(
        name
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module_name and not name.startswith("_")
    )
    near = difflib.get_close_matches(function_name, functions, n=1)
    known = f"did you mean {near[0]}?" if near else f"it has {', '.join(functions[:10]) or 'no functions'}"
    return f"entrypoint {text}: {module_name} has no {function_name!r}; {known}"


def _check_callable(text: str, function: Any) -> None:
    if not callable(function):
        raise EntrypointInvalid(f"entrypoint {text} is a {type(function).__name__}, not a function")
    if inspect.iscoroutinefunction(function):
        raise EntrypointInvalid(f"entrypoint {text} is an async function: make it a plain one, asyncio.run() inside it")
    try:
        inspect.signature(function).bind(object())
    except ValueError:
        return  # a builtin without a readable signature: the call will tell
    except TypeError as error:
        raise EntrypointInvalid(
            f"entrypoint {text} is called with one argument, the slipway.training.Run, but: {error}"
        ) from error
