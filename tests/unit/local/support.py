"""A runner that remembers what it was asked to run, and answers by rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from local.errors import CommandError
from local.progress import Progress
from local.settings import Settings, read


class Recorder:
    """Answers with the text of the first rule whose words the command begins with, else with nothing."""

    def __init__(self, rules: dict[str, str | CommandError] | None = None) -> None:
        self.rules = dict(rules or {})
        self.commands: list[str] = []
        self.inputs: dict[str, str] = {}

    def __call__(self, argv: Sequence[str], *, stdin: str | None = None, check: bool = True) -> str:
        command = " ".join([Path(argv[0]).name, *argv[1:]])
        self.commands.append(command)
        if stdin is not None:
            self.inputs[command] = stdin
        answer = next((answer for words, answer in self.rules.items() if command.startswith(words)), "")
        if isinstance(answer, CommandError):
            if check:
                raise answer
            return ""
        return answer

    def ran(self, words: str) -> list[str]:
        return [command for command in self.commands if command.startswith(words)]


def refused(words: str) -> CommandError:
    return CommandError(["x"], 1, words)


def quiet() -> Progress:
    return Progress(quiet=True)


def settings(home: Path, **environ: str) -> Settings:
    return read({"XDG_CACHE_HOME": str(home), **environ})
