"""The bar of what moves, and what is said when somebody stops it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.cli.progress import bytes_moved

ROOT = Path(__file__).parents[3]
SHOW = """
import time
from slipway.cli.progress import bytes_moved
with bytes_moved("storing", 4 << 20) as progress:
    for _ in range(4):
        progress(1 << 20)
        time.sleep(0.15)
print("done")
"""


def on_a_terminal(code: str) -> str:
    """What a process writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, env=env) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            said += piece
    os.close(ours)
    assert process.returncode == 0, said
    return said.decode()


def test_a_person_sees_how_much_is_done_and_afterwards_only_the_answer() -> None:
    said = on_a_terminal(SHOW)
    shown = re.findall(r"([\d.]+)/4\.0 MiB", said)
    assert len(set(shown)) >= 3, said
    assert shown[-1] == "4.0"
    assert said.split("\x1b[2K")[-1].strip().endswith("done"), "the bar is gone"


def test_where_nobody_watches_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with bytes_moved("storing", 10) as progress:
        assert progress is None
    assert capsys.readouterr() == ("", "")


def test_who_stops_it_is_told_that_it_can_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), bytes_moved("fetching", 10):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "Stopped fetching. The same command goes on where it was.\n"
