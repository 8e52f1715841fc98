"""The same training code on a laptop: ``slipway train train:main --param C=0.3 --input train=train.parquet``."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from slipway.registry.records import (
    Digest,
    Document,
    Environment,
    FileEntry,
    InputRecord,
    Scalar,
    Signature,
    root_digest,
)
from slipway.training.collect import LocalFile, read_extras, read_model
from slipway.training.entrypoint import load_entrypoint
from slipway.training.environment import capture
from slipway.training.inputs import Input, Inputs
from slipway.training.layout import Output
from slipway.training.params import Params
from slipway.training.run import Run

OUTPUT = Path("slipway-output")


class LocalResult(Document):
    """What a local run left, as ``result.json`` says it. `digest` is that of the version that would be registered."""

    digest: Digest
    format: str
    files: tuple[FileEntry, ...]
    signature: Signature | None = None
    conversion: dict[str, Any] | None = None
    params: dict[str, Scalar] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    reports: tuple[FileEntry, ...] = ()
    inputs: tuple[InputRecord, ...] = ()
    environment: Environment = Environment()
    timings: dict[str, float] = Field(default_factory=dict)


def run_locally(
    entrypoint: str | Callable[[Run], object],
    *,
    params: Mapping[str, Scalar] | None = None,
    inputs: Mapping[str, str | Path] | None = None,
    output: str | Path = OUTPUT,
    source: str | Path = ".",
    trusted_types: tuple[str, ...] = (),
) -> LocalResult:
    """Calls the training function in this process, so that a debugger works, and leaves what it saves under `output`.

    `entrypoint` is the function, or its ``module:function`` below the folder `source`. `inputs` are files, folders or
    ``s3://`` URIs by name. An earlier run's results in `output` are replaced. Raises what the function raises, and
    TrainingError, SourceError or StorageError for what is missing or cannot be kept."""
    values = Params(params or {})
    folder = Path(output).resolve()
    results = Output(folder)
    _clear(results)
    given, records = _inputs(inputs or {}, folder)
    function = load_entrypoint(entrypoint, Path(source).resolve()) if isinstance(entrypoint, str) else entrypoint
    started = time.monotonic()
    function(Run(params=values, inputs=Inputs(given), output=folder, trusted_types=trusted_types))
    seconds = time.monotonic() - started
    extras, model = read_extras(results), read_model(results, trusted_types)
    files = tuple(_entry(file) for file in model.model)
    result = LocalResult(
        digest=root_digest(files),
        format=model.format,
        files=files,
        signature=model.signature,
        conversion=model.conversion,
        params=dict(values),
        metrics=extras.metrics,
        reports=tuple(_entry(file) for file in extras.reports),
        inputs=records,
        environment=capture(),
        timings={"train": round(seconds - model.convert_seconds, 3), "convert": model.convert_seconds},
    )
    (folder / "result.json").write_bytes(result.to_json())
    return result


def _clear(results: Output) -> None:
    """Removes what an earlier run left, and nothing else that may be in the folder."""
    for path in (results.metrics, results.note, results.root / "result.json"):
        path.unlink(missing_ok=True)
    for folder in (results.model, results.reports):
        if folder.is_dir():
            shutil.rmtree(folder)
    results.make()


def _inputs(inputs: Mapping[str, str | Path], folder: Path) -> tuple[dict[str, Input], tuple[InputRecord, ...]]:
    given, records = {}, []
    for name, where in inputs.items():
        if isinstance(where, str) and where.startswith(("s3://", "s3a://", "s3n://")):
            found, record = _from_s3(name, where, folder / "inputs")
        else:
            found, record = _from_disk(name, Path(where).expanduser())
        given[name] = found
        records.append(record)
    return given, tuple(records)


def _from_disk(name: str, path: Path) -> tuple[Input, InputRecord]:
    if not path.exists():
        raise FileNotFoundError(f"input {name!r}: there is no file or folder {path}")
    root = path.resolve()
    found = Input(name, root, uri=root.as_uri())
    files = [_entry(LocalFile(file, _relative(file, root), "")) for file in found.files]
    digest = files[0].digest if root.is_file() else root_digest(files)
    record = InputRecord(name=name, uri=found.uri, digest=digest, size=sum(file.size for file in files))
    return Input(name, root, uri=found.uri, digest=digest), record


def _from_s3(name: str, uri: str, folder: Path) -> tuple[Input, InputRecord]:
    from slipway.sources.fetch import fetch_inputs
    from slipway.sources.pinned import PinnedInput
    from slipway.sources.resolve import pin_s3
    from slipway.storage import open_stores

    stores = open_stores()
    resolved = pin_s3(stores, uri)
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    (record,) = fetch_inputs([PinnedInput(name=name, digest=resolved.digest, s3=resolved.pinned)], folder, stores)
    return Input(name, folder / name, uri=uri, digest=record.digest, rows=record.rows), record


def _relative(file: Path, root: Path) -> str:
    return file.name if file == root else file.relative_to(root).as_posix()


def _entry(file: LocalFile) -> FileEntry:
    with file.path.open("rb") as reader:
        digest = "sha256:" + hashlib.file_digest(reader, "sha256").hexdigest()
    return FileEntry(path=file.name, digest=digest, size=file.size, media_type=file.media_type)
