"""``python -m local``: a Kubernetes under the demo and the tests."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from local.demo import Story
from local.errors import LocalError
from local.info import Provider
from local.progress import Progress
from local.providers import NAMES
from local.providers import provider as find

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
Which = Annotated[str, typer.Option("--provider", help=f"One of: {', '.join(NAMES)}.")]
Output = Annotated[str, typer.Option("--output", "-o", help="json, or text.")]


def _find(name: str) -> Provider:
    return find(name, progress=Progress())


@app.command()
def up(provider: Which = "bare") -> None:
    """Make the cluster run, or repair it."""
    info = _find(provider).up()
    typer.echo(f"KUBECONFIG={info.kubeconfig}")


@app.command()
def down(provider: Which = "bare", purge: Annotated[bool, typer.Option(help="Remove the state too.")] = False) -> None:
    """Take everything away that `up` made."""
    _find(provider).down(purge=purge)


@app.command()
def status(provider: Which = "bare", output: Output = "text") -> None:
    """How the parts do; ends with 1 when one does not."""
    found = _find(provider).status()
    if output == "json":
        typer.echo(found.to_json())
    for part in found.parts if output != "json" else ():
        typer.echo(f"{'ok  ' if part.healthy else 'down'} {part.name:26s} {part.detail}")
    raise typer.Exit(0 if found.up else 1)


@app.command()
def info(provider: Which = "bare") -> None:
    """How to reach it, as JSON, without the secret key."""
    typer.echo(_find(provider).info().to_json(redact=True))


@app.command()
def env(provider: Which = "bare") -> None:
    """What to `eval` to use kubectl, helm and slipway on it."""
    found = _find(provider).info()
    values = found.environment() | {"SLIPWAY_REGISTRY": f"s3://{found.buckets[0]}"}
    folders = {os.path.dirname(found.kubectl), os.path.dirname(found.helm), os.path.dirname(sys.executable)}  # noqa: PTH120
    for name, value in values.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo(f"export PATH={':'.join(sorted(folders))}:$PATH")


@app.command()
def demo(
    provider: Which = "bare",
    figures: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures there, as JSON.")] = None,
) -> None:
    """From nothing to a served, watched prediction."""
    progress = Progress()
    raise typer.Exit(Story(find(provider, progress=progress), progress, figures).tell())


def main() -> None:
    """Entry point: errors that a person can act on are one message on stderr and exit code 1."""
    try:
        app()
    except LocalError as error:
        sys.stderr.write(f"local: {error}\n")
        sys.exit(1)
