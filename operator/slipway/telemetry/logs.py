"""Logs on stderr: JSON, one object per line, or readable text for a terminal."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET = {"kopf": logging.WARNING, "aiohttp.access": logging.WARNING, "httpx2": logging.WARNING, "botocore": logging.WARNING}
"""Libraries that tell of each request or event at INFO."""


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, what was given as ``extra``, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN_FIELDS and value != ""}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def setup(form: str = "json", level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends all logs to `stream` (default: stderr) as `form` (``json`` or ``text``). Raises ValueError for another
    form or an unknown level."""
    if form not in ("json", "text"):
        raise ValueError(f"log format {form!r}: choose json or text")
    handler = logging.StreamHandler(stream or sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, floor in _QUIET.items():
        logging.getLogger(name).setLevel(max(floor, root.level))
