"""docs/parity.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_row_names_a_test_that_exists() -> None:
    rows = [line for line in (ROOT / "docs" / "parity.md").read_text().splitlines() if line.startswith("|")][2:]
    assert len(rows) > 15
    for row in rows:
        named = _NAMED.findall(row)
        assert named, row
        assert row.count("`tests/") == len(named), "each as path::name"
        for path, test in named:
            assert re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {test}"
