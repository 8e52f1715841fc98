"""From the folder of results to blobs in the registry. What is found here was written by the user's code: it is looked
at before it is believed."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.registry.blobs import Blobs
from slipway.registry.records import FileEntry, Signature
from slipway.storage.parallel import in_parallel, serialised
from slipway.storage.port import Progress
from slipway.training.errors import FormatRefused, ReportInvalid
from slipway.training.formats import MEDIA_TYPES
from slipway.training.inspect import find_model, inspect_model
from slipway.training.layout import Output, regular_files
from slipway.training.run import check_report_name, read_metrics

MAX_MODEL_FILES = 1000
MAX_REPORTS = 200
_PARALLEL = 8


@dataclass(frozen=True)
class LocalFile:
    """A file to be kept: where it is, and under which relative name and media type it is kept."""

    path: Path
    name: str
    media_type: str

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True)
class Results:
    """What a run has left, checked but not yet stored."""

    model: tuple[LocalFile, ...]
    format: str
    signature: Signature | None
    conversion: dict[str, Any] | None
    convert_seconds: float = 0.0


@dataclass(frozen=True)
class Extras:
    """What is kept of any run, also of one that failed."""

    metrics: dict[str, float] = field(default_factory=dict)
    reports: tuple[LocalFile, ...] = ()


def read_extras(output: Output) -> Extras:
    """Metrics and reports. Raises MetricInvalid, ReportInvalid."""
    return Extras(metrics=read_metrics(output.metrics), reports=_reports(output.reports))


def read_model(output: Output, trusted: tuple[str, ...]) -> Results:
    """The model: what `Run.save_model` noted, if the file still is the one it noted; else by looking at the file. Raises
    NoModel, FormatRefused."""
    found = find_model(output.model)
    note = output.read_note()
    if note is not None and (output.model / note.path) == found.path and note.digest == _digest(found.path):
        kind, signature, conversion, seconds = note.format, note.signature, note.conversion, note.seconds
    else:
        found = inspect_model(output.model, trusted)
        kind, signature, conversion, seconds = found.format, found.signature, {"given": found.format}, 0.0
    paths = list(regular_files(output.model))
    if len(paths) > MAX_MODEL_FILES:
        raise FormatRefused(f"the model has {len(paths)} files; {MAX_MODEL_FILES} at most: pack them together")
    files = tuple(
        LocalFile(
            path,
            path.relative_to(output.model).as_posix(),
            MEDIA_TYPES[kind] if path == found.path else _media_type(path),
        )
        for path in paths
    )
    return Results(files, kind, signature, conversion, seconds)


def store(files: tuple[LocalFile, ...], blobs: Blobs, progress: Progress | None = None) -> tuple[FileEntry, ...]:
    """Uploads files, several at once; those that are there already are not sent. Raises the store's errors."""
    told = serialised(progress)

    def one(file: LocalFile) -> FileEntry:
        return blobs.put_file(file.path, told, name=file.name, media_type=file.media_type)

    return tuple(in_parallel(one, files, _PARALLEL))


def _reports(folder: Path) -> tuple[LocalFile, ...]:
    if not folder.is_dir():
        return ()
    try:
        paths = list(regular_files(folder))
    except ValueError as error:
        raise ReportInvalid(str(error)) from error
    if len(paths) > MAX_REPORTS:
        raise ReportInvalid(f"{len(paths)} reports were written; {MAX_REPORTS} at most: pack them together")
    names = [path.relative_to(folder).as_posix() for path in paths]
    for name in names:
        check_report_name(name)
    return tuple(LocalFile(path, name, _media_type(path)) for path, name in zip(paths, names, strict=True))


def _media_type(path: Path) -> str:
    kind, encoding = mimetypes.guess_type(path.name)
    return kind if kind and not encoding else "application/octet-stream"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
