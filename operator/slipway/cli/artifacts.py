"""``slipway artifacts``: the files that a build left, model, reports and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.models import RefArgument
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, say, short, size, table
from slipway.cli.progress import bytes_moved
from slipway.cli.session import Session
from slipway.registry.records import FileEntry, VersionRecord

FetchOption = Annotated[
    Path | None,
    typer.Option(
        "--fetch",
        metavar="DIR",
        file_okay=False,
        help="Download all of them to DIR/model, DIR/reports, DIR/logs and DIR/attestations, and the record to DIR/version.json.",
    ),
]


@with_session
def artifacts(session: Session, ref: RefArgument, fetch: FetchOption = None, form: DocumentOption = Document.TABLE) -> None:
    """List the artifacts of a version by digest: model files, reports, logs, attestations. With --fetch, download them, checked."""
    record = session.registry.resolve(session.ref(ref))
    groups = grouped(record)
    if fetch is not None:
        _fetch(session, record, groups, fetch)
    if form is not Document.TABLE:
        emit([_as_json(kind, entry) for kind, entries in groups.items() for entry in entries], form)
        return
    if fetch is not None:
        count, total = sum(map(len, groups.values())), sum(e.size for entries in groups.values() for e in entries)
        say(f"{count} file{'' if count == 1 else 's'} of {record.model}:{record.version} ({size(total)}) in {fetch}")
        return
    rows = [
        [kind, entry.path, size(entry.size), entry.media_type, short(entry.digest)]
        for kind, entries in groups.items()
        for entry in entries
    ]
    table(["KIND", "PATH", "SIZE", "TYPE", "DIGEST"], rows)


def grouped(record: VersionRecord) -> dict[str, tuple[FileEntry, ...]]:
    """The version's files by the folder that they are fetched to."""
    return {"model": record.files, "reports": record.reports, "logs": record.logs, "attestations": record.attestations}


def _fetch(session: Session, record: VersionRecord, groups: dict[str, tuple[FileEntry, ...]], into: Path) -> None:
    total = sum(entry.size for entries in groups.values() for entry in entries)
    with bytes_moved("fetching", total) as progress:
        for kind, entries in groups.items():
            if entries:
                session.registry.blobs.fetch_tree(entries, into / kind, progress=progress)
    into.mkdir(parents=True, exist_ok=True)
    (into / "version.json").write_bytes(record.to_json() + b"\n")


def _as_json(kind: str, entry: FileEntry) -> dict[str, Any]:
    return {"kind": kind, "path": entry.path, "digest": entry.digest, "size": entry.size, "mediaType": entry.media_type}
