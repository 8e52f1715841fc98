"""How answers look: tables for people, JSON and YAML for programs, names for ``$(…)``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.registry.records import Document as StoredDocument

if TYPE_CHECKING:
    from rich.console import Console

DIGITS = 12
"""Hexadecimal digits of a digest that are shown to people."""


def emit(value: Any, form: str) -> None:
    """Prints `value`, made of what JSON has, as ``json`` or ``yaml``."""
    if form == "yaml":
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    else:
        text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    sys.stdout.write(text)


def plain(document: StoredDocument) -> dict[str, Any]:
    """A stored document as it is in JSON."""
    dumped: dict[str, Any] = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def console(*, stderr: bool = False) -> Console:
    """A terminal to write on; without one, as wide as its longest line, so that nothing is cut for a program."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=1000)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns like kubectl's: no lines, two spaces between. On a terminal that is too narrow, cells wrap."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*(Text(clean(cell)) for cell in row))
    _print_lines(made)


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair in a line; pairs without a value are left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            made.add_row(name, Text("\n".join(clean(line) for line in value.split("\n"))))
    _print_lines(made)


def _print_lines(renderable: Any) -> None:
    terminal = console()
    if terminal.is_terminal:
        terminal.print(renderable)
        return
    with terminal.capture() as captured:
        terminal.print(renderable)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def say(text: str) -> None:
    """A sentence for the person, on stdout."""
    print(clean(text))


def note(text: str) -> None:
    """A remark for the person, on stderr, where no program takes it for the answer."""
    print(clean(text), file=sys.stderr)


def clean(text: str) -> str:
    """`text` without what would move the cursor or change colours: names and reasons come from other people."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def short(digest: str) -> str:
    """A digest as people read it: ``sha256:`` and its first digits."""
    algorithm, colon, value = digest.partition(":")
    return f"{algorithm}{colon}{value[:DIGITS]}" if colon else digest[:DIGITS]


def short_image(image: str) -> str:
    """An image reference with its digest shortened."""
    name, at, digest = image.partition("@")
    return f"{name}@{short(digest)}" if at else name


def size(count: int) -> str:
    """Bytes as people read them: ``1.5 MiB``."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def age(then: datetime | None, now: datetime) -> str:
    """How long ago, as kubectl says it: ``42s``, ``5m``, ``3h``, ``2d``; empty when not known."""
    return duration((now - then).total_seconds()) if then is not None else ""


def duration(seconds: float) -> str:
    """A length of time as kubectl says it."""
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 600:
        return f"{whole // 60}m{whole % 60}s" if whole % 60 else f"{whole // 60}m"
    if whole < 3 * 3600:
        return f"{whole // 60}m"
    if whole < 48 * 3600:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"


def moment(time: datetime) -> str:
    """A time as people read it and as ``--at`` takes it: RFC 3339 in UTC, whole seconds."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number(value: float) -> str:
    """A metric as people read it."""
    return f"{value:.6g}"
