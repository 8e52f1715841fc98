"""docs/serving.md shows what was measured, and says of each promise what came out."""

from __future__ import annotations

from bench.serving.report import BEGIN, END, PAGE, RESULTS, promises, read_results, tables


def test_the_page_has_the_tables_of_the_results() -> None:
    shown = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == tables(read_results(RESULTS)).strip()


def test_every_promise_was_measured() -> None:
    assert len(promises(read_results(RESULTS))) == 12
