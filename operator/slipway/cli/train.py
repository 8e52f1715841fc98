"""``slipway train``: the training code of a ModelBuild, run here."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.options import Document, DocumentOption
from slipway.cli.output import emit, plain, say, short, size
from slipway.registry.errors import RegistryError
from slipway.sources.errors import SourceError
from slipway.storage.port import StorageError
from slipway.training.child import print_traceback
from slipway.training.entrypoint import describe, last_frame
from slipway.training.errors import EntrypointInvalid, InvalidParams, TrainingError
from slipway.training.local import OUTPUT, LocalResult, run_locally
from slipway.training.params import parse_param


def train(
    entrypoint: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="The training function, such as train:main.")],
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter: number, true, false, or text. Repeatable."),
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=PATH", help="Data: a file, a folder, or an s3:// URI. Repeatable."),
    ] = None,
    source: Annotated[
        Path, typer.Option("--source", metavar="DIR", exists=True, file_okay=False, help="The folder of the code.")
    ] = Path(),
    output: Annotated[
        Path, typer.Option("--into", metavar="DIR", file_okay=False, help="Where model, metrics and reports go.")
    ] = OUTPUT,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Run training code here, as a training Job would: same code, same checks, results in ./slipway-output."""
    try:
        params = dict(parse_param(text) for text in param or ())
    except InvalidParams as error:
        raise CliError(f"--param: {error}", ExitCode.USAGE) from error
    inputs = dict(_pair(text) for text in input or ())
    try:
        with redirect_stdout(sys.stderr if form is not Document.TABLE else sys.stdout):
            result = run_locally(entrypoint, params=params, inputs=inputs, output=output, source=source)
    except EntrypointInvalid as error:
        raise CliError(str(error), ExitCode.USAGE) from error
    except (StorageError, RegistryError, SourceError):
        raise
    except Exception as error:  # whatever the user's code raised
        if isinstance(error, TrainingError) or last_frame(error, source):
            if last_frame(error, source):
                print_traceback(error)
            raise CliError(describe(error, source)) from error
        raise
    if form is not Document.TABLE:
        emit(plain(result), form)
        return
    _say(result, output)


def _pair(text: str) -> tuple[str, str]:
    name, separator, where = text.partition("=")
    if not separator or not name.strip() or not where.strip():
        raise CliError(f"--input {text!r}: write NAME=PATH, for example train=train.parquet", ExitCode.USAGE)
    return name.strip(), where.strip()


def _say(result: LocalResult, output: Path) -> None:
    for entry in result.files:
        say(f"model   {output / 'model' / entry.path} ({size(entry.size)}, {short(entry.digest)})")
    for entry in result.reports:
        say(f"report  {output / 'reports' / entry.path} ({size(entry.size)})")
    say(f"try it: slipway serve --model {output / 'model' / _main_file(result)}")


def _main_file(result: LocalResult) -> str:
    named = [entry.path for entry in result.files if entry.path.endswith((".onnx", ".skops"))]
    return (named or [result.files[0].path])[0]
