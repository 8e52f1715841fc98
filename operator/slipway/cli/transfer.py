"""Bytes in and out of the registry by hand: ``slipway model register`` and ``slipway model pull``."""

from __future__ import annotations

import math
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli import complete
from slipway.cli.attesting import SigningKeyOption, attest_with
from slipway.cli.errors import CliError, ExitCode
from slipway.cli.models import RefArgument
from slipway.cli.options import Output, OutputOption, with_session
from slipway.cli.output import emit, say, short, size
from slipway.cli.progress import bytes_moved
from slipway.cli.session import Session, login
from slipway.provenance.names import REGISTER_TYPE
from slipway.registry.names import ModelName, check_alias
from slipway.registry.records import (
    FileEntry,
    Scalar,
    Signature,
    SourceRecord,
    VersionDraft,
    VersionRecord,
    digest_of,
    root_digest,
)

RegisterArgument = Annotated[str, typer.Argument(metavar="NAME", help="The model, new or known.", autocompletion=complete.models)]
PathArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="A model file (.onnx, .skops), or a folder that holds one.", exists=True)
]
MetricOption = Annotated[list[str] | None, typer.Option("--metric", metavar="KEY=NUMBER", help="A metric; repeatable.")]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="A parameter: number, true, false or text; repeatable."),
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeatable.")]
AliasOption = Annotated[
    list[str] | None, typer.Option("--alias", metavar="ALIAS", help="Alias to move to the version; repeatable.")
]
NewOption = Annotated[bool, typer.Option("--new", help="A new version even where the same content is registered already.")]


@with_session
def register(
    session: Session,
    name: RegisterArgument,
    path: PathArgument,
    metric: MetricOption = None,
    param: ParamOption = None,
    tag: TagOption = None,
    alias: AliasOption = None,
    new: NewOption = False,
    signing_key: SigningKeyOption = None,
    form: OutputOption = Output.TABLE,
) -> None:
    """Register a model that was made elsewhere as the next version.

    The same files, metrics and parameters registered twice give the same version, so that a script may simply be run
    again. Pickle and joblib files are refused: save the model as ONNX or skops.
    """
    if "@" in name or ":" in name:
        raise CliError(f"{name[:80]!r}: give the model's name alone; the registry chooses the version", ExitCode.USAGE)
    model = session.model(name)
    aliases = [check_alias(one) for one in dict.fromkeys(alias or ())]
    facts: dict[str, Any] = {
        "metrics": {key: _number(key, value) for key, value in _pairs("--metric", metric)},
        "params": _params(param),
        "tags": dict(_pairs("--tag", tag)),
    }
    files = _files(path)
    main, kind = _model_file(files)
    facts["signature"] = _signature(main, kind)
    registry = session.registry
    attest = attest_with(registry.blobs, REGISTER_TYPE, signing_key)
    with bytes_moved("storing", sum(file.stat().st_size for file in files)) as progress:
        folder, blobs = path.is_dir(), registry.blobs
        single = () if folder else (blobs.put_file(path, progress, media_type=_media_type(kind)),)
        entries = blobs.put_tree(path, progress) if folder else single
    record = registry.register(attest(_draft(model, entries, kind, facts, path, new=new)))
    for one in aliases:
        registry.move_alias(model, one, record.version, by=login(), reason=f"slipway model register {model}")
    _registered(record, aliases, form)


@with_session
def pull(
    session: Session,
    ref: RefArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to put the files in; made if need be.")],
    form: OutputOption = Output.TABLE,
) -> None:
    """Download a version's files. Every byte is checked against its digest before a file gets its name."""
    record = session.registry.resolve(session.ref(ref))
    total = sum(entry.size for entry in record.files)
    with bytes_moved("fetching", total) as progress:
        session.registry.blobs.fetch_tree(record.files, directory, progress=progress)
    if form is Output.TABLE:
        say(f"{record.model}:{record.version} ({short(record.digest)}, {size(total)}) is in {directory}")
    else:
        _answer(record, form, directory=str(directory))


def _registered(record: VersionRecord, aliases: list[str], form: Output) -> None:
    if form is not Output.TABLE:
        _answer(record, form)
        return
    say(f"{record.model}:{record.version}  {record.digest}")
    for one in aliases:
        say(f"{record.model}@{one} is version {record.version}")


def _answer(record: VersionRecord, form: Output, **more: str) -> None:
    if form is Output.NAME:
        print(f"{record.model}:{record.version}")
    else:
        emit({"model": record.model, "version": record.version, "digest": record.digest, **more}, form)


def _files(path: Path) -> list[Path]:
    """The files that will be stored. Raises CliError for a folder without files."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise CliError(f"{path}: the folder holds no file", ExitCode.USAGE)
    return files


def _model_file(files: list[Path]) -> tuple[Path, str]:
    """The model among `files` and its format, by content. Raises CliError when there is none, or several, or a pickle."""
    from slipway.training.errors import FormatRefused
    from slipway.training.formats import sniff

    try:
        found = [(file, kind) for file in files if (kind := sniff(file)) is not None]
    except FormatRefused as error:
        raise CliError(f"{str(error).partition('. ')[0]}. Save the model as .onnx or .skops.") from error
    if not found:
        names = ", ".join(file.name for file in files[:3])
        raise CliError(f"{names}: neither ONNX nor skops by content; save the model in one of these formats")
    if len(found) > 1:
        names = " and ".join(file.name for file, _ in found[:3])
        raise CliError(f"{names}: more than one model; a version is one model, so register each under its own name")
    return found[0]


def _signature(model: Path, kind: str) -> Signature | None:
    """What the model takes and gives. Raises CliError for one that cannot be loaded."""
    from slipway.training.errors import FormatRefused
    from slipway.training.formats import signature

    try:
        return signature(model, kind)
    except FormatRefused as error:
        raise CliError(str(error)) from error


def _media_type(kind: str) -> str:
    from slipway.training.formats import MEDIA_TYPES

    return MEDIA_TYPES.get(kind, "application/octet-stream")


def _draft(
    model: ModelName, entries: tuple[FileEntry, ...], kind: str, facts: dict[str, Any], path: Path, *, new: bool
) -> VersionDraft:
    content = root_digest(entries)
    salt = uuid.uuid4().hex if new else ""
    said = {key: facts[key] for key in ("metrics", "params", "tags")}
    identity = digest_of({"registered": str(model), "content": content, **said, "new": salt})
    return VersionDraft(
        model=str(model),
        build_id=identity,
        reason="Registered",
        files=entries,
        format=kind,
        source=SourceRecord(kind="local", uri=path.name, digest=content),
        builder=f"slipway model register ({login()})",
        **facts,
    )


def _pairs(option: str, given: list[str] | None) -> list[tuple[str, str]]:
    pairs = []
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise CliError(f"{option} {text[:80]!r}: write {option} name=value", ExitCode.USAGE)
        pairs.append((key.strip(), value))
    keys = [key for key, _ in pairs]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise CliError(f"{option} {twice[0]}: given twice", ExitCode.USAGE)
    return pairs


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CliError(f"--metric {key}={text[:80]}: a metric is a finite number", ExitCode.USAGE)
    return value


def _params(given: list[str] | None) -> dict[str, Scalar]:
    """Parameters as ``slipway train --param`` reads them. Raises CliError."""
    from slipway.training.errors import InvalidParams
    from slipway.training.params import parse_param

    pairs = _pairs("--param", given)
    try:
        return dict(parse_param(f"{key}={value}") for key, value in pairs)
    except InvalidParams as error:
        raise CliError(f"--param: {error}", ExitCode.USAGE) from error
