"""The list of commands: quick to print, and true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.cli.lazy import load
from slipway.cli.main import COMMANDS, app
from slipway.cli.options import SHARED

ROOT = Path(__file__).parents[3]
OWN = sorted(set(COMMANDS) - {"serve", "train", "images"})
HEAVY = (
    "aiohttp",
    "boto3",
    "botocore",
    "httpx",
    "kopf",
    "lightkube",
    "numpy",
    "onnxruntime",
    "pandas",
    "pydantic",
    "rich",
    "sklearn",
    "yaml",
)


def modules_after(*words: str) -> set[str]:
    code = (
        "import sys, io\n"
        "from slipway.cli.main import app\n"
        "import typer\n"
        "out, sys.stdout = sys.stdout, io.StringIO()\n"
        "try: typer.main.get_command(app).main(args=sys.argv[1:], prog_name='slipway')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sys.modules, file=out)\n"
    )
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=ROOT / "operator", capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_help_imports_no_command_and_nothing_heavy() -> None:
    found = modules_after("--help")
    assert {name for name in found if name.startswith("slipway.")} == {
        "slipway.cli",
        "slipway.cli.complete",
        "slipway.cli.lazy",
        "slipway.cli.main",
        "slipway.cli.options",
    }
    assert not found & set(HEAVY)


@pytest.mark.parametrize("command", ["models", "history", "status"])
def test_help_of_a_command_imports_no_client(command: str) -> None:
    found = modules_after(command, "--help")
    assert not found & {"boto3", "botocore", "httpx", "lightkube", "kopf", "numpy", "onnxruntime", "rich"}


def leaves(name: str, command: Any) -> list[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below:
        return [leaf for word, sub in below.items() for leaf in leaves(f"{name} {word}", sub)]
    return [(name, command)]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there_and_explains_itself(name: str) -> None:
    for path, command in leaves(name, load(name, COMMANDS[name])):
        assert command.help, path
        for param in command.params:
            assert getattr(param, "help", "") or param.name == "help", f"{path}: {param.name} has no help"


@pytest.mark.parametrize("name", OWN)
def test_shared_options_are_the_same_everywhere(name: str) -> None:
    if name in ("version", "completion"):
        return
    for path, command in leaves(name, load(name, COMMANDS[name])):
        assert {param.name for param in command.params} >= SHARED.keys(), path


def test_the_list_shows_every_command_with_its_line() -> None:
    shown = CliRunner().invoke(app, ["--help"], prog_name="slipway", env={"COLUMNS": "200"}).stdout
    for name, entry in COMMANDS.items():
        assert f"  {name} " in shown
        assert entry.help.split()[0] in shown


def test_the_page_of_the_documentation_is_that_of_the_commands() -> None:
    from slipway.cli.docs import page

    written = (ROOT / "docs" / "cli.md").read_text()
    assert written == page(), "docs/cli.md is out of date: python -m slipway.cli.docs > docs/cli.md"
    for name in COMMANDS:
        assert f"### slipway {name}" in written
