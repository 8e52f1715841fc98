"""The figures of many roll-outs at once in docs/architecture.md are those of the committed run, and keep what is promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.rollout.report import markdown, promises, table

ROOT = Path(__file__).parents[3]
REPORT = json.loads((ROOT / "bench/results/rollout.json").read_text())


def test_the_page_shows_what_the_committed_run_measured() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    shown = page.partition("<!-- bench.rollout.report -->\n")[2].partition("\n<!-- end -->")[0]
    assert shown == markdown(REPORT)


def test_all_were_right_and_nothing_is_written_at_rest() -> None:
    assert [run["count"] for run in REPORT["runs"]] == [300, 1000]
    kept = {promise: held for promise, _value, held in promises(REPORT)}
    assert all(held for promise, held in kept.items() if "MiB" not in promise), kept


@pytest.mark.parametrize(("field", "value"), [("right", 999), ("operator MiB", 5000)])
def test_a_promise_that_is_broken_is_told(field: str, value: int) -> None:
    phases = {"applied": {"right": 1000, "seconds": 1.0, "writes per resource": 7.0, "operator MiB": 100, "peak MiB": 101}}
    run = {"count": 1000, "phases": phases, "writes in 20 s of rest": 0.0}
    assert all(held for *_, held in promises({"runs": [run]}))
    phases["applied"] |= {field: value}
    assert "BROKEN" in table({"runs": [run]})
    run["writes in 20 s of rest"] = 2.0
    assert sum(not held for *_, held in promises({"runs": [run]})) == 2
