"""A progress bar on stderr for bytes that move; nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bytes_moved(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A callback to be told of bytes as they move, out of `total`; None when stderr is no terminal."""
    try:
        with _bar(what, total) as told:
            yield told
    except KeyboardInterrupt:
        from slipway.cli.output import note

        note(f"Stopped {what}. The same command goes on where it was.")
        raise


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    if not sys.stderr.isatty() or total == 0:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from slipway.cli.output import console

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda moved: bar.advance(task, moved)


@contextmanager
def counted(what: str) -> Iterator[Callable[[int], None] | None]:
    """A callback to be told of things done, of which nobody knows how many there are; None when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from slipway.cli.output import console

    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.advance(task, done)
