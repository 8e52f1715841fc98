from __future__ import annotations

import io
from pathlib import Path

from slipway.training.log import LogFile, every, size_text


def test_a_short_log_is_kept_whole_and_echoed(tmp_path: Path) -> None:
    echo = io.BytesIO()
    log = LogFile(tmp_path / "train.log", limit=1000, echo=echo)
    log.write(b"hello\n")
    log.line("done")
    log.close()
    assert (tmp_path / "train.log").read_bytes() == echo.getvalue() == b"hello\nslipway: done\n"


def test_a_long_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "train.log", limit=4000)
    for number in range(5000):
        log.write(f"line {number}\n".encode())
    log.close()
    text = (tmp_path / "train.log").read_text()
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("line 4999\n")
    assert "bytes of the log were left out here" in text
    assert len(text) < 4200
    assert [path.name for path in tmp_path.iterdir()] == ["train.log"]


def test_a_log_a_little_over_half_its_limit_loses_nothing(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "train.log", limit=4000)
    lines = b"".join(f"line {number:06d}\n".encode() for number in range(200))
    for start in range(0, len(lines), 7):
        log.write(lines[start : start + 7])
    log.close()
    assert (tmp_path / "train.log").read_bytes() == lines


def test_lines_after_the_end_reach_the_echo_alone(tmp_path: Path) -> None:
    echo = io.BytesIO()
    log = LogFile(tmp_path / "train.log", echo=echo)
    log.line("one")
    log.close()
    log.close()
    log.line("two")
    assert (tmp_path / "train.log").read_bytes() == b"slipway: one\n"
    assert echo.getvalue() == b"slipway: one\nslipway: two\n"


def test_progress_is_told_once_per_step() -> None:
    told: list[int] = []
    advance = every(100, told.append)
    for _ in range(25):
        advance(10)
    assert told == [100, 200]


def test_sizes_read_well() -> None:
    assert [size_text(size) for size in (0, 999, 1027, 4_200_000, 5e9, 7e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "4.2 MB",
        "5.0 GB",
        "7.0 TB",
    ]
