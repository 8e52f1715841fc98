"""docs/features.md shows what was measured, and what is promised there holds by these figures."""

from __future__ import annotations

import json

from bench.features.report import BEGIN, END, PAGE, RESULTS, promises, tables


def test_the_page_shows_the_committed_results_and_its_promises_hold() -> None:
    results = json.loads(RESULTS.read_text())
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == tables(results)
    assert [promise for promise, _, holds in promises(results) if not holds] == []
