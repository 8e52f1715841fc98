"""The errors a person gets to see; anything else is a fault of this package."""

from __future__ import annotations


class LocalError(Exception):
    """Something a person can act on. The message says what is wrong and what to do about it."""


class PreflightError(LocalError):
    """This machine cannot run what was asked for. Carries every problem found, not just the first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class CommandError(LocalError):
    """A command ended with a code other than 0."""

    def __init__(self, argv: list[str], returncode: int, output: str) -> None:
        self.argv, self.returncode, self.output = tuple(argv), returncode, output
        super().__init__(
            f"`{' '.join(argv[:6])}{' …' if len(argv) > 6 else ''}` ended with {returncode}: {output.strip()[-1500:]}"
        )


class WaitTimeout(LocalError):
    """A fact did not come true before its deadline."""
