"""What holds is verified; each way in which it can be untrue is found, and said."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.provenance import names
from slipway.provenance.dsse import load_public_keys
from slipway.provenance.policy import Check, Outcome, Policy, problem
from slipway.provenance.verify import verify_bytes, verify_claims
from slipway.registry.records import VersionRecord
from slipway.registry.registry import Registry
from tests.unit.provenance.support import FACTS, KeyPair, attested, key_pair

Change = Callable[[dict], dict]  # type: ignore[type-arg]


@pytest.fixture
def key(tmp_path: Path) -> KeyPair:
    return key_pair(tmp_path)


def outcomes(checks: tuple[Check, ...]) -> dict[str, str]:
    return {check.name: check.outcome.value for check in checks}


def with_changed(registry: Registry, record: VersionRecord, path: str, change: Callable[[bytes], bytes]) -> VersionRecord:
    """As somebody who may write to the bucket changes an attestation, with a digest that fits."""
    entries = []
    for entry in record.attestations:
        if entry.path == path:
            entry = registry.blobs.put_bytes(change(registry.blobs.read(entry.digest)), entry.media_type, path=path)
        entries.append(entry)
    return record.model_copy(update={"attestations": tuple(entries)})


def test_all_holds(key: KeyPair) -> None:
    registry, record = attested(key)
    checks = verify_claims(registry.blobs, record, load_public_keys(key.pem))
    assert set(outcomes(checks).values()) == {"passed"}
    assert all(problem(checks, policy) is None for policy in Policy)
    assert all(check.outcome is Outcome.PASSED for check in verify_bytes(registry.blobs, record))


def test_unsigned_is_enough_for_provenance_and_not_for_signed(key: KeyPair) -> None:
    registry, record = attested()
    checks = verify_claims(registry.blobs, record, load_public_keys(key.pem))
    assert problem(checks, Policy.PROVENANCE) is None
    assert problem(checks, Policy.SIGNED) == "signature: the version is not signed"


def test_a_version_without_attestations_passes_only_where_nothing_is_demanded() -> None:
    registry, record = attested()
    bare = record.model_copy(update={"attestations": ()})
    checks = verify_claims(registry.blobs, bare)
    assert problem(checks, Policy.OFF) is None
    assert "provenance statement" in (problem(checks, Policy.PROVENANCE) or "")


def test_another_key_does_not_count(key: KeyPair, tmp_path: Path) -> None:
    registry, record = attested(key)
    checks = verify_claims(registry.blobs, record, load_public_keys(key_pair(tmp_path, "other").pem))
    assert outcomes(checks)["signature"] == outcomes(checks)["signed statement"] == "failed"
    assert "none of the trusted keys" in (problem(checks, Policy.PROVENANCE) or "")


def test_a_request_that_was_changed_under_the_build_is_told() -> None:
    registry, record = attested(facts=replace(FACTS, checked=False))
    assert "request was changed" in (problem(verify_claims(registry.blobs, record), Policy.PROVENANCE) or "")


def _other_files(data: bytes) -> bytes:
    document = json.loads(data)
    document["subject"][0]["digest"]["sha256"] = "0" * 64
    return json.dumps(document).encode()


def _other_model(data: bytes) -> bytes:
    return data.replace(b'"default/wine"', b'"default/beer"')


@pytest.mark.parametrize(
    ("path", "change", "check", "words"),
    [
        (names.STATEMENT, _other_files, "provenance", "other files"),
        (names.STATEMENT, _other_model, "provenance", "another build"),
        (names.STATEMENT, lambda _: b"[]", "provenance", "no JSON object"),
        (names.STATEMENT, lambda _: b"{}", "provenance", "not a statement of ours"),
        (names.STATEMENT, lambda _: b"\xff", "provenance", "no JSON"),
        (names.BOM, lambda data: data.replace(b"numpy", b"nunpy"), "bom", "not the one"),
        (names.BOM, lambda _: b'{"bomFormat": "SPDX"}', "bom", "not a CycloneDX document"),
    ],
)
def test_a_changed_document_is_found(path: str, change: Callable[[bytes], bytes], check: str, words: str) -> None:
    registry, record = attested()
    changed = with_changed(registry, record, path, change)
    found = {one.name: one for one in verify_claims(registry.blobs, changed)}
    assert found[check].outcome is Outcome.FAILED
    assert words in found[check].message


def test_a_signed_statement_cannot_be_rewritten(key: KeyPair) -> None:
    def forge(data: bytes) -> bytes:
        envelope = json.loads(data)
        payload = base64.b64decode(envelope["payload"]).replace(b'"train:main"', b'"other:main"')
        return json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}).encode()

    registry, record = attested(key)
    checks = verify_claims(registry.blobs, with_changed(registry, record, names.STATEMENT, forge), load_public_keys(key.pem))
    assert outcomes(checks)["provenance"] == "passed"  # it says what fits; only the signature can tell
    assert outcomes(checks)["signed statement"] == "failed"


def test_a_signature_of_other_files_does_not_count(key: KeyPair) -> None:
    registry, record = attested(key)
    moved = record.model_copy(update={"files": record.files[:1]})
    checks = verify_claims(registry.blobs, moved, load_public_keys(key.pem))
    assert outcomes(checks)["signature"] == outcomes(checks)["record"] == "failed"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"dsseEnvelope": []}', b'{"dsseEnvelope": {"payload": "%%"}}'])
def test_a_signature_that_is_none_fails_and_breaks_nothing(key: KeyPair, data: bytes) -> None:
    registry, record = attested(key)
    changed = with_changed(registry, record, names.SIGNATURE, lambda _: data)
    assert outcomes(verify_claims(registry.blobs, changed, load_public_keys(key.pem)))["signature"] == "failed"


def test_lost_and_altered_bytes_are_found() -> None:
    registry, record = attested()
    registry.store.put(registry.blobs.key(record.files[0].digest), b"something else")
    registry.store.delete(registry.blobs.key(record.reports[0].digest))
    found = {check.name: check for check in verify_bytes(registry.blobs, record)}
    assert "corrupt" in found[f"file {record.files[0].path}"].message
    assert found["report roc.html"].outcome is Outcome.FAILED
    assert found["log train.log"].outcome is Outcome.PASSED
