"""The figures in docs/registry.md are those of the committed run."""

from __future__ import annotations

import json
from pathlib import Path

from bench.registry.report import markdown

ROOT = Path(__file__).parents[3]


def test_the_page_shows_what_the_committed_run_measured() -> None:
    page = (ROOT / "docs/registry.md").read_text()
    shown = page.partition("<!-- bench.registry.report -->\n")[2].partition("\n<!-- end -->")[0]
    assert shown == markdown(json.loads((ROOT / "bench/results/registry.json").read_text()))
