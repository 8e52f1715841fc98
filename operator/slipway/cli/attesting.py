"""Statements about versions that a person brings: made where the packages for it are installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.registry.blobs import Blobs
from slipway.registry.records import VersionDraft

Attest = Callable[[VersionDraft], VersionDraft]
SigningKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--signing-key",
        metavar="FILE",
        dir_okay=False,
        exists=True,
        help="Sign the version with this private key (PEM, P-256 or larger).",
    ),
]


def attest_with(blobs: Blobs, build_type: str, signing_key: Path | None = None) -> Attest:
    """Adds a provenance statement and a bill of materials to a draft, signed when there is a key; adds nothing where the packages
    are missing. Raises CliError for a key that cannot be used, or one without the packages."""
    try:
        import cyclonedx  # noqa: F401
    except ImportError as error:
        if signing_key is not None:
            raise CliError("--signing-key needs more packages: pip install 'slipway[operator]'", ExitCode.USAGE) from error
        return lambda draft: draft
    from slipway.provenance.attest import Attester
    from slipway.provenance.dsse import KeyInvalid
    from slipway.provenance.facts import local_facts

    try:
        attester = Attester(signing_key)
    except KeyInvalid as error:
        raise CliError(f"--signing-key: {error}", ExitCode.USAGE) from error
    return lambda draft: attester.attest(draft, local_facts(draft, build_type), blobs)
