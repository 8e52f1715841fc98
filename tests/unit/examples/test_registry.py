"""The tutorial's code and the second example do what they say."""

from __future__ import annotations

import os
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


def tutorial(tmp_path: Path) -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/registry.md").read_text(), re.DOTALL)
    assert len(blocks) >= 6
    return "\n".join(blocks).replace("file:///tmp/models", f"file://{tmp_path}/models")


def test_the_tutorial_runs(tmp_path: Path) -> None:
    script = tmp_path / "tutorial.py"
    script.write_text(tutorial(tmp_path))
    printed = run([str(script)])
    assert "expected at version 99" in printed


WRONG = """
registry.latest(7)
registry.move_alias("default/m", "champion", "1", by="me")
wrong: int = registry.resolve("default/m@champion").digest
"""


def test_its_types_are_known_to_who_installs_the_package(tmp_path: Path) -> None:
    """As mypy sees the installed distribution: right calls pass the strict check, wrong ones are found."""
    for name, code in {"right.py": tutorial(tmp_path), "wrong.py": tutorial(tmp_path) + WRONG}.items():
        (tmp_path / name).write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-color-output", "--cache-dir", str(tmp_path / "cache")]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}

    def checked(name: str) -> str:
        done = subprocess.run([*command, name], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.stdout

    assert "Success" in checked("right.py")
    found = checked("wrong.py")
    assert found.count("[arg-type]") == 2, found
    assert found.count("[assignment]") == 1, found


def test_the_example_prints_what_its_page_shows_and_may_run_again(tmp_path: Path) -> None:
    page = (ROOT / "examples/02-registry/README.md").read_text()
    shown = page.partition("$ python registry.py file:///tmp/models\n")[2].partition("```")[0]
    for _ in range(2):
        assert run([str(ROOT / "examples/02-registry/registry.py"), f"file://{tmp_path}/models"]) == shown
