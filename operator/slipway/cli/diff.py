"""``slipway diff``: how two versions differ."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from slipway.cli import complete
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, number, say, short, table
from slipway.cli.session import Session
from slipway.registry.difference import Change

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
Before = Annotated[
    str, typer.Argument(metavar="NAME[@ALIAS|:VERSION]", help="The version to begin with.", autocompletion=complete.refs)
]
After = Annotated[
    str, typer.Argument(metavar="NAME[@ALIAS|:VERSION]", help="The version to compare with it.", autocompletion=complete.refs)
]


@with_session
def diff(session: Session, before: Before, after: After, form: DocumentOption = Document.TABLE) -> None:
    """Show how two versions differ: metrics, parameters, files, data, code, environment, signature, tags."""
    found = session.registry.diff(session.ref(before), session.ref(after))
    if form is not Document.TABLE:
        emit({"before": found.before, "after": found.after, "changes": [_as_json(change) for change in found.changes]}, form)
        return
    if not found.changes:
        say(f"{found.before} and {found.after} do not differ")
        return
    rows = [
        [change.section, change.name, _short(change.before), _short(change.after), _delta(change)] for change in found.changes
    ]
    table(["SECTION", "NAME", found.before, found.after, "CHANGE"], rows)


def _as_json(change: Change) -> dict[str, Any]:
    delta = {"delta": change.delta} if change.delta is not None else {}
    return {"section": change.section, "name": change.name, "before": change.before, "after": change.after, **delta}


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return number(value) if isinstance(value, float) else str(value)


def _short(value: Any) -> str:
    """As people read it: digests shortened; -o json has them whole."""
    return _DIGEST.sub(lambda found: short(found[0]), _shown(value))


def _delta(change: Change) -> str:
    return f"{change.delta:+.6g}" if change.delta is not None else ""
