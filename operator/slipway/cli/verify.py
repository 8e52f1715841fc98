"""``slipway model verify``: whether a version is what it says, and can prove it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.errors import CliError, ExitCode
from slipway.cli.models import RefArgument
from slipway.cli.options import Document, DocumentOption, with_session
from slipway.cli.output import emit, note, say, table
from slipway.cli.session import Session
from slipway.provenance.dsse import KeyInvalid, load_public_keys
from slipway.provenance.policy import Check, Outcome, Policy, problem
from slipway.provenance.verify import verify_bytes, verify_claims
from slipway.registry.records import VersionRecord
from slipway.settings import environment

KeyOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--public-key",
        metavar="FILE",
        dir_okay=False,
        help="A public key (PEM) whose signature counts; repeatable. Default: the keys in SLIPWAY_PUBLIC_KEYS.",
    ),
]
PolicyOption = Annotated[
    Policy | None,
    typer.Option("--policy", help="Demand it: provenance, or signed. Default: signed when a key is given, else off."),
]
QuickOption = Annotated[bool, typer.Option("--quick", help="Leave out the bytes of the files; check what is said of them only.")]


@with_session
def verify(
    session: Session,
    ref: RefArgument,
    public_key: KeyOption = None,
    policy: PolicyOption = None,
    quick: QuickOption = False,
    form: DocumentOption = Document.TABLE,
) -> None:
    """Check that a version is what it says.

    Every byte against its digest, the provenance statement, the bill of materials, the signature.

    Exit code 1 when anything that is there is wrong, or something that the policy demands is missing.
    """
    try:
        keys = load_public_keys(_pem(public_key))
    except KeyInvalid as error:
        raise CliError(f"--public-key: {error}", ExitCode.USAGE) from error
    demanded = policy or (Policy.SIGNED if keys else Policy.OFF)
    if demanded is Policy.SIGNED and not keys:
        raise CliError("--policy signed needs a key: add --public-key FILE or set SLIPWAY_PUBLIC_KEYS", ExitCode.USAGE)
    record = session.registry.resolve(session.ref(ref))
    blobs = session.registry.blobs
    checks = [*verify_claims(blobs, record, keys), *(() if quick else verify_bytes(blobs, record))]
    wrong = next((f"{c.name}: {c.message}" for c in checks if c.outcome is Outcome.FAILED), None) or problem(checks, demanded)
    _answer(record, checks, demanded, wrong, form)
    if wrong:
        raise CliError(f"{record.model}:{record.version} is not verified: {wrong}")


def _pem(files: list[Path] | None) -> str:
    if not files:
        return environment().get("SLIPWAY_PUBLIC_KEYS", "")
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def _answer(record: VersionRecord, checks: list[Check], policy: Policy, wrong: str | None, form: Document) -> None:
    if form is not Document.TABLE:
        answer = {
            "model": record.model,
            "version": record.version,
            "digest": record.digest,
            "policy": policy.value,
            "verified": wrong is None,
            "checks": [{"name": c.name, "outcome": c.outcome.value, "message": c.message} for c in checks],
        }
        emit(answer, form)
        return
    table(["CHECK", "OUTCOME", "WHAT"], [[c.name, c.outcome.value, c.message] for c in checks])
    if wrong is None:
        lacking = [c.name for c in checks if c.outcome is not Outcome.PASSED]
        if lacking:
            note(f"Not shown by this: {', '.join(lacking)}.")
        say(f"{record.model}:{record.version} is what it says")
