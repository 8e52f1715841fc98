"""A moving picture of a terminal, from what real programs wrote on it: an SVG that loads nothing from elsewhere."""

from __future__ import annotations

import fcntl
import html
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pyte

COLUMNS, ROWS = 130, 26
LONGEST = 0.7
"""Seconds that a picture stays at most; what took longer is cut."""
SHORTEST = 0.2
AT_THE_END = 6.0
_CELL, _LINE, _EDGE, _TITLE = 8.4, 19, 14, 34
_COLOURS = {
    "red": "#f4686d",
    "green": "#7ec97c",
    "brown": "#e0b458",
    "yellow": "#e0b458",
    "blue": "#6ea8fe",
    "cyan": "#62c4d0",
    "magenta": "#c08be0",
}

Run = tuple[str, str, bool]
"""Text, colour as pyte names it, and whether it is bold."""
Row = tuple[Run, ...]


@dataclass
class Film:
    """What a terminal showed, picture by picture."""

    frames: list[tuple[float, tuple[Row, ...]]] = field(default_factory=list)
    """Seconds that each stays, and its rows."""

    def __post_init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._at = time.monotonic()

    def say(self, text: str, seconds: float = SHORTEST) -> None:
        """Writes on the terminal what no program wrote: a prompt and what is typed."""
        self._stream.feed(text.replace("\n", "\r\n").encode())
        self._shoot(seconds)

    def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> int:
        """Runs a program on the terminal to its end; gives its exit code."""
        self._at = time.monotonic()
        child, terminal = pty.fork()
        if child == 0:
            os.execvpe(argv[0], list(argv), {**environment, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)})
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        try:
            while select.select([terminal], [], [], 600.0)[0]:
                try:
                    data = os.read(terminal, 65536)
                except OSError:  # the other end is closed: the program has ended
                    break
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
                self._stream.feed(data)
                self._shoot()
        except BaseException:
            os.kill(child, signal.SIGTERM)
            raise
        finally:
            os.close(terminal)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code

    def _shoot(self, seconds: float | None = None) -> None:
        """The picture before stays until now."""
        now = time.monotonic()
        if self.frames and seconds is None:
            stays = min(max(now - self._at, 0.0), LONGEST)
            self.frames[-1] = (self.frames[-1][0] + stays, self.frames[-1][1])
        self._at = now
        rows = tuple(_row(self._screen, number) for number in range(ROWS))
        if self.frames and self.frames[-1][0] < SHORTEST and seconds is None:
            self.frames[-1] = (self.frames[-1][0], rows)
        elif not self.frames or self.frames[-1][1] != rows:
            self.frames.append((seconds or 0.0, rows))

    def svg(self, title: str) -> str:
        """All pictures in a strip that is drawn through a window, over and over; without motion, the last one."""
        stays = [max(seconds, SHORTEST) for seconds, _ in self.frames]
        stays[-1] = AT_THE_END
        width, height = round(COLUMNS * _CELL) + 2 * _EDGE, ROWS * _LINE + _TITLE + _EDGE
        known: dict[Row, str] = {}
        frames, steps, at = [], [], 0.0
        for number, (_, rows) in enumerate(self.frames):
            lines = []
            for place, row in enumerate(rows):
                if row:
                    name = known.setdefault(row, f"r{len(known)}")
                    lines.append(f'<use href="#{name}" y="{place * _LINE}"/>')
            frames.append(f'<g transform="translate({number * width} 0)">{"".join(lines)}</g>')
            steps.append(f"{at / sum(stays) * 100:.3f}%{{transform:translateX(-{number * width}px)}}")
            at += stays[number]
        last = f"transform:translateX(-{(len(frames) - 1) * width}px)"
        style = (
            "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d6d9de;white-space:pre}"
            ".b{font-weight:700}"
            + "".join(f".{name}{{fill:{colour}}}" for name, colour in _COLOURS.items())
            + f"@keyframes f{{{''.join(steps)}}}"
            + f"#f{{{last};animation:f {sum(stays):.1f}s step-end infinite}}"
            + "@media (prefers-reduced-motion:reduce){#f{animation:none}}"
        )
        rows_drawn = "".join(f'<text id="{name}">{_drawn(row)}</text>' for row, name in known.items())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(title)}">\n'
            f"<style>{style}</style>\n<defs>{rows_drawn}</defs>\n"
            f'<rect width="{width}" height="{height}" rx="8" fill="#23272e"/>\n'
            f'<text x="{width / 2}" y="22" text-anchor="middle" opacity=".7">{html.escape(title)}</text>\n'
            f'<svg x="{_EDGE}" y="{_TITLE}" width="{width - _EDGE}" height="{height - _TITLE}">'
            f'<g transform="translate(0 {_LINE - 5})"><g id="f">\n' + "\n".join(frames) + "\n</g></g></svg>\n</svg>\n"
        )


def _row(screen: pyte.Screen, number: int) -> Row:
    cells = screen.buffer[number]
    styled = [(cells[column].data, str(cells[column].fg), bool(cells[column].bold)) for column in range(COLUMNS)]
    while styled and styled[-1][0] == " ":
        styled.pop()
    return tuple(("".join(cell[0] for cell in run), *style) for style, run in groupby(styled, key=lambda cell: cell[1:]))


def _drawn(row: Row) -> str:
    spans, column = [], 0
    for words, colour, bold in row:
        classes = " ".join([*([colour] if colour in _COLOURS else []), *(["b"] if bold else [])])
        name = f' class="{classes}"' if classes else ""
        spans.append(f'<tspan x="{column * _CELL:.1f}"{name}>{html.escape(words)}</tspan>')
        column += len(words)
    return "".join(spans)
