"""The tutorial's code and the second example do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(code: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *code],
        env={"PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tutorial_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/registry.md").read_text(), re.DOTALL)
    assert len(blocks) >= 6
    script = tmp_path / "tutorial.py"
    script.write_text("\n".join(blocks).replace("file:///tmp/models", f"file://{tmp_path}/models"))
    printed = run([str(script)])
    assert "expected at version 99" in printed


def test_the_example_prints_what_its_page_shows_and_may_run_again(tmp_path: Path) -> None:
    page = (ROOT / "examples/02-registry/README.md").read_text()
    shown = page.partition("$ python registry.py file:///tmp/models\n")[2].partition("```")[0]
    for _ in range(2):
        assert run([str(ROOT / "examples/02-registry/registry.py"), f"file://{tmp_path}/models"]) == shown
