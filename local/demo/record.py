"""A picture of a terminal from the demo's real output.

    make demo 2>&1 | python -m local.demo.record docs/images/demo.svg

What is read is passed on, so that the terminal shows it too.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 132
_STYLES = (
    (r"^\[ *[\d.]+ s\]", "dim"),
    (r"^\$ .*", "bold"),
    (r"none failed|all labels equal|\b0 failed|done$", "bold green"),
    (r"^(Versions|Serving|Times|Try next|Slipway demo).*", "bold cyan"),
    (r"sha256:[0-9a-f]+", "magenta"),
    (r"\b\d+\.\d+ s\b", "yellow"),
    (r"#.*$", "dim"),
)
_WEB_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def picture(lines: Iterable[str]) -> str:
    """The lines as SVG that loads nothing from elsewhere. Signs of life of long steps are left out."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for line in lines:
        if line.endswith("… still at it"):
            continue
        text = Text(line, no_wrap=True, overflow="ellipsis")
        for pattern, style in _STYLES:
            text.highlight_regex(pattern, style)
        console.print(text)
    return _WEB_FONTS.sub("", console.export_svg(title="make demo"))


def main(target: str) -> None:
    """Reads standard input to its end, then writes `target`."""
    lines = ["$ make demo"]
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line.rstrip("\n"))
    Path(target).write_text(picture(lines))


if __name__ == "__main__":
    main(sys.argv[1])
