"""Small histories with one right answer each, given to both. Runs with pyarrow alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

TIME = pa.timestamp("us", "UTC")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


CASES: dict[str, dict[str, Any]] = {
    "back-filled row": {
        # (hours of event, hours of creation, value), then hours of the entity rows, then the right answers
        "history": [(-48, -48, 1.0), (-24, 240, 2.0)],
        "asked": [0.0],
        "right": [1.0],
        "why": "the value of the day before was written ten days later: at noon nobody knew it",
    },
    "expired row": {
        "history": [(-24 * 40, -24 * 40, 1.0)],
        "asked": [0.0],
        "right": [None],
        "why": "all there is is older than the TTL: the entity row stays, without a value",
    },
    "entity row before all history": {
        "history": [(1, 1, 1.0)],
        "asked": [0.0, 2.0],
        "right": [None, 1.0],
        "why": "nothing had happened at the first row's time",
    },
    "same entity row twice": {
        "history": [(-1, -1, 1.0)],
        "asked": [0.0, 0.0],
        "right": [1.0, 1.0],
        "why": "two labels of one user at one time are two examples",
    },
    "correction, written first": {
        "history": [(-24, -1, 2.0), (-24, -24, 1.0)],
        "asked": [0.0],
        "right": [2.0],
        "why": "of the same event time the latest created time holds, whatever the order of the file",
    },
    "tie": {
        "history": [(-24, -24, 1.0), (-24, -24, 2.0)],
        "asked": [0.0],
        "right": [2.0],
        "why": "the same event and created time: the row that came last",
    },
}


def case_history(case: str) -> pa.Table:
    """The rows of the one user."""
    rows = CASES[case]["history"]
    return pa.table(
        {
            "user": pa.array([1] * len(rows), pa.int64()),
            "event_timestamp": pa.array([_at(event) for event, _, _ in rows], TIME),
            "created": pa.array([_at(created) for _, created, _ in rows], TIME),
            "value": pa.array([value for *_, value in rows]),
        }
    )


def case_entities(case: str) -> pa.Table:
    """The entity rows, numbered."""
    asked = CASES[case]["asked"]
    return pa.table(
        {
            "user": pa.array([1] * len(asked), pa.int64()),
            "event_timestamp": pa.array([_at(hours) for hours in asked], TIME),
            "row": pa.array(range(len(asked)), pa.int64()),
        }
    )
