"""Checks what is said of a version: each claim a check with an outcome and a sentence. Reads, decides, writes nothing.

Needs the registry and, for signatures, `cryptography`: the serving image has no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from slipway.provenance import dsse, names
from slipway.provenance.policy import Check, Outcome
from slipway.registry.blobs import Blobs
from slipway.registry.errors import CorruptBlob, MissingBlob
from slipway.registry.records import FileEntry, VersionRecord, root_digest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey


class Failed(ValueError):
    """A claim that does not hold."""


def verify_claims(blobs: Blobs, record: VersionRecord, keys: tuple[EllipticCurvePublicKey, ...] = ()) -> tuple[Check, ...]:
    """Statement, bill of materials and signature of a version against its record. Model files are not read. Raises the
    store's errors."""
    statement: dict[str, Any] = {}

    def read_statement() -> str:
        statement.update(_statement(blobs, record))
        return _provenance(statement, record)

    return (
        _check("record", lambda: _record(record)),
        _check("provenance", read_statement),
        _check("bom", lambda: _bom(blobs, record, statement)),
        *_signatures(blobs, record, keys),
    )


def verify_bytes(blobs: Blobs, record: VersionRecord) -> Iterator[Check]:
    """Reads every byte that the version refers to: one check per file, as each is done. Raises the store's errors."""
    kinds = {"files": record.files, "reports": record.reports, "logs": record.logs, "attestations": record.attestations}
    for kind, entries in kinds.items():
        for entry in entries:
            yield _check(f"{kind.removesuffix('s')} {entry.path}", lambda entry=entry: _bytes(blobs, entry))  # type: ignore[misc]


def _bytes(blobs: Blobs, entry: FileEntry) -> str:
    size = blobs.verify(entry.digest)
    if size != entry.size:
        raise Failed(f"has {size} bytes, the record says {entry.size}")
    return f"{size} bytes, {entry.digest}"


def _check(name: str, claim: Callable[[], str]) -> Check:
    try:
        return Check(name, Outcome.PASSED, claim())
    except LookupError as error:
        return Check(name, Outcome.MISSING, str(error.args[0]))
    except (MissingBlob, CorruptBlob, Failed, dsse.SignatureInvalid) as error:
        return Check(name, Outcome.FAILED, str(error))


def _record(record: VersionRecord) -> str:
    found = root_digest(record.files)
    if found != record.digest:
        raise Failed(f"says {record.digest}, its files make {found}")
    return record.digest


def _attestation(record: VersionRecord, path: str, what: str) -> FileEntry:
    for entry in record.attestations:
        if entry.path == path:
            return entry
    raise LookupError(f"the version has no {what}: made by an older Slipway, or by other means")


def _statement(blobs: Blobs, record: VersionRecord) -> dict[str, Any]:
    entry = _attestation(record, names.STATEMENT, "provenance statement")
    document = dsse.load_json(blobs.read(entry.digest))
    if entry.media_type == names.DSSE:
        document = dsse.load_json(dsse.parts(document)[0])
    if not isinstance(document, dict):
        raise Failed("the statement is no JSON object")
    return document


def _provenance(statement: dict[str, Any], record: VersionRecord) -> str:
    """The statement is about these very files, and about this build."""
    try:
        if (statement["_type"], statement["predicateType"]) != (names.STATEMENT_TYPE, names.PREDICATE_TYPE):
            raise Failed("not an in-toto statement with SLSA provenance v1")
        subjects = {subject["name"]: f"sha256:{subject['digest']['sha256']}" for subject in statement["subject"]}
        definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
        build_type, inner, external = (
            definition["buildType"],
            definition["internalParameters"],
            definition["externalParameters"],
        )
        builder = details["builder"]["id"]
    except (KeyError, TypeError, AttributeError) as error:
        raise Failed(f"not a statement of ours: {type(error).__name__} {error}") from error
    if subjects != {entry.path: entry.digest for entry in record.files}:
        raise Failed("the statement is about other files than the version's")
    if inner.get("buildId") != record.build_id or external.get("model") != record.model:
        raise Failed("the statement is about another build")
    if build_type == names.BUILD_TYPE and not inner.get("requestMatchesBuildId"):
        raise Failed("what was asked of the build is not what its identity stands for: the request was changed under it")
    count = len(definition.get("resolvedDependencies", ()))
    return f"in-toto, SLSA v1, by {builder}; {count} material{'' if count == 1 else 's'}"


def _bom(blobs: Blobs, record: VersionRecord, statement: dict[str, Any]) -> str:
    entry = _attestation(record, names.BOM, "bill of materials")
    document = dsse.load_json(blobs.read(entry.digest))
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        raise Failed("not a CycloneDX document")
    made = statement.get("predicate", {}).get("runDetails", {}).get("byproducts", ())
    wanted = {"sha256": entry.digest.removeprefix("sha256:")}
    if statement and not any(thing.get("name") == entry.path and thing.get("digest") == wanted for thing in made):
        raise Failed("not the one that the provenance statement names")
    return f"CycloneDX {document.get('specVersion', '')}, {len(document.get('components', ()))} components"


def _signatures(blobs: Blobs, record: VersionRecord, keys: tuple[EllipticCurvePublicKey, ...]) -> tuple[Check, ...]:
    entry = next((entry for entry in record.attestations if entry.path == names.SIGNATURE), None)
    statement = next((entry for entry in record.attestations if entry.path == names.STATEMENT), None)
    if not keys:
        words = "there is one; no public key was given to check it with" if entry else "the version is not signed"
        outcome = Outcome.UNCHECKED if entry else Outcome.MISSING
        return (Check("signature", outcome, words),)

    def files() -> str:
        if entry is None:
            raise LookupError("the version is not signed")
        return _signed_files(blobs.read(entry.digest), record, keys)

    def said() -> str:
        if statement is None or statement.media_type != names.DSSE:
            raise LookupError("the provenance statement is not signed")
        dsse.unseal(dsse.load_json(blobs.read(statement.digest)), names.IN_TOTO, keys)
        return "signed by a trusted key"

    return (_check("signature", files), _check("signed statement", said))


def _signed_files(bundle: bytes, record: VersionRecord, keys: tuple[EllipticCurvePublicKey, ...]) -> str:
    """The manifest of model-signing under the signature lists exactly the version's files."""
    document = dsse.load_json(bundle)
    envelope = document.get("dsseEnvelope") if isinstance(document, dict) else None
    payload = dsse.load_json(dsse.unseal(envelope, names.IN_TOTO, keys))
    try:
        if payload["predicateType"] != names.SIGNATURE_PREDICATE:
            raise Failed("not a model-signing signature")
        listed = {item["name"]: f"{item['algorithm']}:{item['digest']}" for item in payload["predicate"]["resources"]}
        subject = payload["subject"][0]["name"]
    except (KeyError, TypeError, IndexError) as error:
        raise Failed(f"not a model-signing signature: {type(error).__name__}") from error
    if listed != {entry.path: entry.digest for entry in record.files}:
        raise Failed("the signature is over other files than the version's")
    if subject != record.model.rpartition("/")[2]:
        raise Failed(f"the signature is for a model named {subject!r}")
    return "OpenSSF model-signing, by a trusted key"
