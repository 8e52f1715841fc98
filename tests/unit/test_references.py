"""What code and pages point to in this repository is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
POINTER = re.compile(
    r"(?<![\w/.-])(?:docs|examples|manifests|charts|crds|tests|local|bench(?!/results))/[\w./-]*\.(?:md|py|yaml|json|lua)\b"
)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#|mailto:)([^)#\s]+)")
MADE_UP = {("contract", "sources")}
"""Folders whose tests write repositories of their own."""
TEXT = (".py", ".md", ".yaml", ".tpl", ".toml", ".txt")


def committed(*suffixes: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if name.endswith(suffixes) and (ROOT / name).is_file()]


def test_files_that_are_named_are_there() -> None:
    missing = set()
    for path in committed(*TEXT):
        if path.parts[-3:-1] in MADE_UP:
            continue
        for found in POINTER.findall(path.read_text(errors="replace")):
            if not any((base / found).exists() for base in (ROOT, path.parent, *path.relative_to(ROOT).parents)):
                missing.add(f"{path.relative_to(ROOT)}: {found}")
    assert sorted(missing) == []


def test_links_of_pages_lead_somewhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in committed(".md")
        for target in LINK.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert dead == []


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/adr").glob("*.md")]
    assert sorted(numbers) == sorted(set(numbers))


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md"])
def test_commands_that_pages_tell_to_type_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = set(re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", (ROOT / name).read_text(), re.MULTILINE))
    assert {word for pair in typed for word in pair if word} <= targets
