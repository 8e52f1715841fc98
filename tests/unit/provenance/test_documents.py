"""What is attested is what the formats' own libraries accept, and what the operator knows is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement

from slipway.provenance import dsse, names
from slipway.provenance.bom import bill_of_materials
from slipway.provenance.facts import local_facts
from slipway.provenance.statement import statement
from slipway.registry.records import VersionDraft, canonical_json
from slipway.registry.registry import Registry
from slipway.storage.memory import MemoryStore
from tests.unit.provenance.support import CODE, DATA, FACTS, IMAGE, attested, draft, key_pair


@pytest.fixture
def made() -> VersionDraft:
    return draft(Registry(MemoryStore()))


def parsed(document: dict[str, Any]) -> Any:
    """By in-toto's own library: raises for fields that it does not know, and for what is missing."""
    wanted = Statement([], document["predicateType"], {})
    wanted.pb.Clear()
    json_format.ParseDict(document, wanted.pb)
    wanted.validate()
    return json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())


def test_the_statement_is_in_toto_with_slsa_provenance(made: VersionDraft) -> None:
    provenance = parsed(json.loads(canonical_json(statement(made, FACTS))))
    dependencies = {entry.name: entry for entry in provenance.build_definition.resolved_dependencies}
    assert set(dependencies) == {"wine", "source", "image"}
    assert dependencies["wine"].uri == DATA.uri
    assert dependencies["source"].digest["gitCommit"] == CODE.commit
    assert dependencies["image"].digest["sha256"] == IMAGE.rpartition(":")[2]
    assert provenance.run_details.builder.id == names.BUILDER
    assert {entry.name for entry in provenance.run_details.byproducts} == {"roc.html", "train.log"}


def test_what_the_pod_reports_cannot_replace_what_was_asked(made: VersionDraft) -> None:
    """A pod that reports other data, code and parameters changes notes only, and they say who reported them."""
    forged = made.model_copy(
        update={
            "params": {"C": 9.0},
            "inputs": (made.inputs[0].model_copy(update={"uri": "s3://evil/x.csv", "digest": "sha256:" + "0" * 64}),),
            "source": made.source.model_copy(update={"uri": "https://evil.example.com", "commit": "b" * 40})
            if made.source
            else None,
            "environment": made.environment.model_copy(update={"image": "evil@sha256:" + "0" * 64}),
        }
    )
    said = statement(forged, FACTS)["predicate"]["buildDefinition"]
    honest = statement(made, FACTS)["predicate"]["buildDefinition"]
    assert said["externalParameters"] == honest["externalParameters"]
    for one, other in zip(said["resolvedDependencies"], honest["resolvedDependencies"], strict=True):
        assert (one["uri"], one["digest"]) == (other["uri"], other["digest"])
    assert "evil" not in json.dumps(said)
    assert said["resolvedDependencies"][0]["annotations"]["contentDigest"]["reportedBy"] == "the build's pod"


def test_a_version_made_by_hand_claims_no_operator(made: VersionDraft) -> None:
    details = statement(made, local_facts(made))["predicate"]
    assert details["runDetails"]["builder"]["id"] == names.LOCAL_BUILDER
    assert details["buildDefinition"]["internalParameters"]["requestMatchesBuildId"] is False


def test_the_bill_of_materials_is_cyclonedx_with_a_model_card(made: VersionDraft) -> None:
    document = bill_of_materials(made)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    card = document["metadata"]["component"]["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [{"type": "accuracy", "value": "0.97"}]
    assert card["modelParameters"]["inputs"] == [{"format": "X: FP32[-1, 13]"}]
    assert {part["name"] for part in document["components"]} >= {"numpy", "scikit-learn", "wine"}


def test_a_bare_version_has_valid_documents_too(made: VersionDraft) -> None:
    bare = VersionDraft(model=made.model, build_id=made.build_id, reason="Registered", files=made.files, format="onnx")
    parsed(json.loads(canonical_json(statement(bare, local_facts(bare)))))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill_of_materials(bare))) is None


def test_the_same_build_is_attested_with_the_same_bytes(made: VersionDraft) -> None:
    """A registration that is repeated after a crash leaves no second set of documents."""
    assert canonical_json(bill_of_materials(made)) == canonical_json(bill_of_materials(made))
    assert attested()[1].attestations == attested()[1].attestations


def test_a_pulled_model_is_verified_by_the_tool_of_model_signing(tmp_path: Path) -> None:
    key = key_pair(tmp_path)
    registry, record = attested(key)
    folder = tmp_path / "pulled"
    registry.blobs.fetch_tree(record.files, folder)
    signature = next(entry for entry in record.attestations if entry.path == names.SIGNATURE)
    registry.blobs.fetch(signature.digest, tmp_path / "model.sig")
    tool = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    words = [*tool, "--signature", str(tmp_path / "model.sig"), "--public_key", str(key.public)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "model.onnx").write_bytes(b"another")
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0


def test_an_envelope_is_opened_by_a_key_that_signed_it_only(tmp_path: Path) -> None:
    ours, other = key_pair(tmp_path, "ours"), key_pair(tmp_path, "other")
    envelope = dsse.seal(b"said", "text/plain", dsse.load_private_key(ours.private))
    keys = dsse.load_public_keys(other.pem + ours.pem)
    assert dsse.unseal(envelope, "text/plain", keys) == b"said"
    for wrong in (dsse.load_public_keys(other.pem), ()):
        with pytest.raises(dsse.SignatureInvalid):
            dsse.unseal(envelope, "text/plain", wrong)


@pytest.mark.parametrize("text", ["no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_a_key_that_is_none_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(dsse.KeyInvalid, match="key"):
        dsse.load_public_keys(text)
