"""Tutorial, runbooks and examples speak of reasons and commands that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from slipway.api.conditions import BUILD_REASONS, REASONS
from slipway.cli.main import app

ROOT = Path(__file__).parents[3]
GUIDES = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "runbooks").glob("*.md"))]
GUIDES += sorted((ROOT / "examples").glob("*/README.md"))
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NOT_REASONS = {"Ready", "Available", "Stalled", "Reconciling", "True", "False", "Service", "Run"}
ENDINGS = (
    "Unavailable",
    "Missing",
    "Failed",
    "Denied",
    "Full",
    "Invalid",
    "Refused",
    "Unusable",
    "Exceeded",
    "NotFound",
    "Unsuitable",
)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_reason_and_command_in_it_exists(guide: Path) -> None:
    text = guide.read_text()
    words = set(re.findall(r"`([A-Z][A-Za-z]+)`", text)) - NOT_REASONS
    reasons = {word for word in words if word.endswith(ENDINGS)}
    assert reasons <= {*REASONS, *BUILD_REASONS}, reasons - {*REASONS, *BUILD_REASONS}
    commands = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined]
    code = " ".join([*FENCED.findall(text), *re.findall(r"`(slipway [^`]+)`", text)])
    used = set(re.findall(r"(?:^|`|\$ )slipway ([a-z][a-z-]+)", code, re.MULTILINE))
    assert used <= set(commands), used - set(commands)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_path_in_it_leads_somewhere(guide: Path) -> None:
    text = guide.read_text()
    links = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert [target for target in links if not (guide.parent / target).exists()] == []
    paths = re.findall(r"`((?:docs|examples|charts|manifests)/[\w./-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
