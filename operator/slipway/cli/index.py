"""``slipway index``: the derived index that makes search and long pages quick."""

from __future__ import annotations

from typing import Any

import typer

from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, say
from slipway.cli.progress import counted
from slipway.cli.session import Session
from slipway.registry.index import IndexReport

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def index() -> None:
    """Bring the search index up to date, or make it anew."""


@app.command("update")
@with_session
def update(session: Session, form: DocumentOption = Document.TABLE) -> None:
    """Take what is new into the index. The operator does it by itself; without one, do it now and then."""
    _run(session, form, afresh=False)


@app.command("rebuild")
@with_session
def rebuild(session: Session, form: DocumentOption = Document.TABLE) -> None:
    """Make the index anew from the version records alone. Nothing is lost meanwhile."""
    _run(session, form, afresh=True)


def _run(session: Session, form: Document, *, afresh: bool) -> None:
    with counted("versions") as progress:
        report = session.registry.update_index(afresh=afresh, progress=progress)
    if form is not Document.TABLE:
        emit(as_json(report), form)
        return
    say(f"{report.versions} versions of {report.models} models in {report.segments} segments, {report.added} of them new")
    if report.skipped:
        say(f"{report.skipped} records could not be read")


def as_json(report: IndexReport) -> dict[str, Any]:
    """A report as scripts read it."""
    return vars(report).copy()
