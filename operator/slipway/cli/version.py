"""``slipway version``."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Annotated

import typer

from slipway.cli.options import Document
from slipway.cli.output import emit


def installed() -> str:
    """The version of this distribution; ``unknown`` when its sources run without being installed."""
    try:
        return metadata.version("slipway")
    except metadata.PackageNotFoundError:
        return "unknown"


def version(form: Annotated[Document, typer.Option("--output", "-o", help="Form of the answer.")] = Document.TABLE) -> None:
    """Print the version of this command."""
    from slipway.api.common import API_VERSION

    if form is Document.TABLE:
        print(f"slipway {installed()} (resources {API_VERSION}, Python {platform.python_version()})")
    else:
        emit({"version": installed(), "api": API_VERSION, "python": platform.python_version()}, form)
