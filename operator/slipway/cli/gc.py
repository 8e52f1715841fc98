"""``slipway gc``: garbage collection by hand. The operator does it by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, say, size, table
from slipway.cli.session import Session
from slipway.registry.garbage.collector import Collection, Item
from slipway.registry.garbage.marks import Policy

RetainOption = Annotated[
    list[str] | None,
    typer.Option("--retain", metavar="NAME=N", help="Retire versions of this model beyond the newest N; repeatable."),
]
GraceOption = Annotated[
    float, typer.Option("--grace-hours", min=13, help="Least age of garbage, and least time between warning and deletion.")
]


@with_session
def gc(
    session: Session,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and why.")] = False,
    retain: RetainOption = None,
    grace_hours: GraceOption = 24,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Delete what nothing refers to: files of no version, documents of old attempts, files of retired versions.

    A run condemns what nothing refers to, and deletes what a run at least the grace period ago has condemned, if nothing
    refers to it still. What an upload, an alias or a deployment needs is safe at every moment. Of two runs at once, one gives
    up with exit code 4.
    """
    policy = Policy(grace=timedelta(hours=grace_hours), retention=dict(_retention(session, one) for one in retain or ()))
    done = session.registry.collect(policy, dry_run=dry_run)
    if form is not Document.TABLE:
        emit(as_json(done), form)
        return
    if done.items:
        table(["ACTION", "KIND", "NAME", "SIZE", "WHY"], [_row(item) for item in done.items])
    would = "would be freed" if dry_run else "freed"
    say(f"{size(done.freed)} {would}; {done.kept} files kept, {done.waiting} condemned, {done.young} too young")


def as_json(done: Collection) -> dict[str, Any]:
    """A collection as scripts read it."""
    return {**vars(done), "items": [vars(item) for item in done.items]}


def _row(item: Item) -> list[str]:
    return [item.action, item.kind, item.name, size(item.size) if item.kind == "blob" else "-", item.why]


def _retention(session: Session, text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if not number.isdecimal() or int(number) < 1:
        raise CliError(f"--retain {text[:80]!r}: write --retain NAME=20, for the newest 20 versions", ExitCode.USAGE)
    return str(session.model(name)), int(number)
