"""Running other programs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from local.errors import CommandError, PreflightError
from local.settings import child_environment, search_path


class Runner(Protocol):
    """Runs a command to its end and gives its stdout. Tests put a recording one in its place."""

    def __call__(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True) -> str: ...


def run(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600.0,
) -> str:
    """Run a command and return its stdout.

    Raises CommandError if it ends with another code than 0 or is not there (unless `check` is off), or outlasts `timeout`
    seconds.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env=child_environment() if env is None else dict(env),
            cwd=cwd,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        if not check:
            return ""
        raise CommandError(list(argv), 127, str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(list(argv), 124, f"no end within {timeout:.0f} s") from error
    if check and done.returncode != 0:
        raise CommandError(list(argv), done.returncode, done.stderr or done.stdout)
    return done.stdout


def find(program: str, *more: Path) -> Path | None:
    """Where a program is: first in the folders `more`, then on the path (``sbin`` included)."""
    for folder in more:
        if (folder / program).is_file():
            return folder / program
    found = shutil.which(program, path=search_path())
    return Path(found) if found else None


def need(program: str, hint: str, *more: Path) -> Path:
    """Like :func:`find`, but raises PreflightError with `hint` if the program is missing."""
    found = find(program, *more)
    if found is None:
        raise PreflightError([f"`{program}` is missing: {hint}"])
    return found
