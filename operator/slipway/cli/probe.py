"""``slipway probe``: whether the store keeps the promises that the registry rests on."""

from __future__ import annotations

from slipway.cli.errors import ExitCode
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, say
from slipway.cli.session import Session


@with_session
def probe(session: Session, form: DocumentOption = Document.TABLE) -> None:
    """Try the store: do conditional writes hold when sixteen race? Leaves nothing behind; exit code 1 when it is unfit."""
    import dataclasses

    import typer

    from slipway.storage.probe import probe as run

    store = session.registry.store
    report = run(store)
    if form is Document.TABLE:
        say(report.message)
    else:
        emit({"store": store.uri, "ok": report.ok, **dataclasses.asdict(report)}, form)
    if not report.ok:
        raise typer.Exit(ExitCode.FAILED)
