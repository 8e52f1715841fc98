"""``slipway version``."""

from __future__ import annotations

import platform
from typing import Annotated

import typer

from slipway import __version__
from slipway.cli.options import Document
from slipway.cli.output import emit


def version(form: Annotated[Document, typer.Option("--output", "-o", help="Form of the answer.")] = Document.TABLE) -> None:
    """Print the version of this command."""
    from slipway.api.common import API_VERSION

    if form is Document.TABLE:
        print(f"slipway {__version__} (resources {API_VERSION}, Python {platform.python_version()})")
    else:
        emit({"version": __version__, "api": API_VERSION, "python": platform.python_version()}, form)
