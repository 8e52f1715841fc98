"""What an installation demands of a version, and whether what was found about one is enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Policy(StrEnum):
    """What an installation demands of a version before it is rolled out or loaded."""

    OFF = "off"
    PROVENANCE = "provenance"
    """A statement and a bill of materials that fit the version."""
    SIGNED = "signed"
    """And both the statement and the files signed by a trusted key."""


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    MISSING = "missing"
    UNCHECKED = "unchecked"


@dataclass(frozen=True)
class Check:
    """One claim and how it came out."""

    name: str
    outcome: Outcome
    message: str


def problem(checks: Sequence[Check], policy: Policy) -> str | None:
    """Why a version does not meet `policy`, as a sentence; None when it does. Pure."""
    if policy is Policy.OFF:
        return None
    needed = {"provenance", "bom"} | ({"signature", "signed statement"} if policy is Policy.SIGNED else set())
    for check in checks:
        if check.outcome is Outcome.FAILED or (check.name in needed and check.outcome is not Outcome.PASSED):
            return f"{check.name}: {check.message}"
    return None
