"""The server's own log: one JSON object per line on stderr, or words when a person looks at a terminal."""

from __future__ import annotations

import json
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO


def line(event: str, *, level: str = "info", error: BaseException | None = None, **fields: Any) -> None:
    """Writes one line. `error` adds its traceback; fields that are None are left out. A broken stderr is no error."""
    known = {name: value for name, value in fields.items() if value is not None}
    write(sys.stderr, event, level, known, error)


def write(stream: TextIO, event: str, level: str, fields: dict[str, Any], error: BaseException | None) -> None:
    """`line` to a given stream."""
    if error is not None:
        fields = fields | {"error": f"{type(error).__name__}: {error}"}
    try:
        if stream.isatty():
            words = " ".join(f"{name}={value}" for name, value in fields.items())
            text = f"{event} {words}".rstrip()
            if error is not None:
                text += "\n" + "".join(traceback.format_exception(error)).rstrip()
        else:
            if error is not None:
                fields = fields | {"traceback": "".join(traceback.format_exception(error))}
            time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            text = json.dumps({"time": time, "level": level, "event": event, **fields}, default=str, ensure_ascii=False)
        stream.write(text + "\n")
        stream.flush()
    except (OSError, ValueError):
        return
