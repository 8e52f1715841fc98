"""How values read on a page. Pure, but for the time that is handed in."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"))


def number(value: float) -> str:
    if not math.isfinite(value):
        return str(value)
    return f"{value:.6g}"


def delta(value: float) -> str:
    return f"{value:+.4g}"


def size(count: int) -> str:
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def age(at: datetime, now: datetime) -> str:
    seconds = max(0.0, (now - at).total_seconds())
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def duration(length: timedelta) -> str:
    seconds = length.total_seconds()
    for step, unit in _STEPS:
        if seconds >= step:
            return f"{seconds / step:.0f} {unit}"
    return f"{seconds:.0f} s"


def value(thing: Any) -> str:
    """A value of any kind in one line."""
    if thing is None:
        return "–"
    if isinstance(thing, bool):
        return str(thing).lower()
    if isinstance(thing, float):
        return number(thing)
    return thing if isinstance(thing, str) else json.dumps(thing, ensure_ascii=False, default=str)
