"""The user's own code: the entrypoint, found without being run, and the layer that holds the files."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from slipway.images import bytecode, contract, entries
from slipway.images.entries import Entry
from slipway.images.errors import ImageError, UnsafePath

FORMAT = 1
"""Raised when this module makes another layer of the same files."""
_ENTRYPOINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LEFT_OUT = frozenset({"__pycache__", ".git"})


class EntrypointInvalid(ImageError):
    """The entrypoint is malformed, or not in the source."""

    reason = contract.ENTRYPOINT_INVALID


def check_source(source: Path) -> None:
    """Refuses files that would take the place of Slipway's own in the image. Raises UnsafePath."""
    for name in ("slipway", "slipway.py"):
        if (source / name).exists():
            raise UnsafePath(f"the source has {name} at its top, which would hide the slipway package: rename it")


def check_entrypoint(text: str, source: Path) -> None:
    """Looks for ``module:Class`` in the files of `source`; nothing is imported. What only running the code could tell
    (a name from ``import *`` or a module's ``__getattr__``) passes. Raises EntrypointInvalid."""
    if not _ENTRYPOINT.fullmatch(text):
        raise EntrypointInvalid(f"entrypoint {text!r}: write module:Class, for example app:Service")
    module, _, attribute = text.partition(":")
    path = _module_file(text, module, source)
    try:
        tree = ast.parse(path.read_bytes(), str(path.relative_to(source)))
    except (SyntaxError, ValueError) as error:
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        raise EntrypointInvalid(f"entrypoint {text}: {path.relative_to(source)} is not valid Python: {error}{where}") from error
    names = _bound(tree.body)
    first = attribute.partition(".")[0]
    if first in names or "*" in names or "__getattr__" in names:
        return
    near = difflib.get_close_matches(first, names, n=1)
    classes = sorted(node.name for node in tree.body if isinstance(node, ast.ClassDef))
    known = f"did you mean {near[0]}?" if near else f"it has {', '.join(classes[:10]) or 'no classes'}"
    raise EntrypointInvalid(f"entrypoint {text}: {module} has no {first!r}; {known}")


def _module_file(text: str, module: str, source: Path) -> Path:
    base = source.joinpath(*module.split("."))
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    modules = sorted(
        [path.stem for path in source.glob("*.py")]
        + [path.name for path in source.iterdir() if path.is_dir() and any(path.glob("*.py"))]
    )
    near = difflib.get_close_matches(module, modules, n=1)
    known = f"did you mean {near[0]}?" if near else f"it has {', '.join(modules[:10]) or 'no Python files'}"
    raise EntrypointInvalid(f"entrypoint {text}: the source has no module {module!r}; {known}")


def _bound(body: list[ast.stmt]) -> set[str]:
    """The names that a module's statements bind at its top level, ``*`` for an import of all."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        else:
            names.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            for part in ("body", "orelse", "finalbody"):
                inner = getattr(node, part, [])
                names |= _bound([child for child in inner if isinstance(child, ast.stmt)])
            for handler in getattr(node, "handlers", []):
                names |= _bound(handler.body)
    return names


def layer_entries(source: Path, work: Path, *, python: Path | None) -> Iterator[Entry]:
    """The files of `source` where the image has them, with bytecode made by `python` (None: without any, for a base of
    another Python). Wheels are left out: they were installed. `work` holds the bytecode, and must live until the entries
    are packed. Raises UnsafePath."""
    found = list(entries.tree(source, contract.APP_DIR, keep=_wanted))
    yield from found
    modules = [
        str(entry.source.relative_to(source)) for entry in found if isinstance(entry.source, Path) and entry.path.endswith(".py")
    ]
    if python is None or not modules:
        return
    out = work / "application-bytecode"
    out.mkdir(parents=True)
    bytecode.compile_files(source, modules, contract.APP_DIR, out, python=python)
    yield from entries.tree(out, contract.APP_DIR)


def _wanted(path: PurePosixPath) -> bool:
    return path.name not in _LEFT_OUT and path.suffix != ".whl"
