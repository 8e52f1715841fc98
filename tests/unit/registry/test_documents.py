from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from slipway.registry import documents
from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.registry.records import AliasMove, FileEntry, VersionDraft, VersionRecord, root_digest

DIGEST = "sha256:" + "a" * 64
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


def record(**changes: object) -> VersionRecord:
    files = (FileEntry(path="model.onnx", digest=DIGEST, size=3),)
    fields = {
        "model": "ns/m", "build_id": DIGEST, "reason": "FirstBuild", "files": files, "format": "onnx", "version": 7,
        "digest": root_digest(files), "created_at": NOW, "writer": "w", **changes,
    }  # fmt: skip
    return VersionRecord.model_validate(fields)


@pytest.mark.parametrize(
    "document",
    [
        record(),
        record(params={"C": 0.3, "on": True, "n": 3, "text": "x"}, metrics={"roc_auc": 0.99, "bad": math.inf}, tags={"a": "b"}),
        AliasMove(number=2, model="ns/m", alias="champion", version=None, previous=7, at=NOW, by="me", writer="w"),
        AliasMove(number=1, model="ns/m", alias="champion", version=7, previous=None, at=NOW, by="me", writer="w"),
    ],
)
def test_what_is_written_is_read(document: VersionRecord | AliasMove) -> None:
    assert documents.load(type(document), document.to_json(), "x") == document


def test_parameters_keep_their_types() -> None:
    read = documents.load(VersionRecord, record(params={"a": 1, "b": 1.0, "c": True, "d": "1"}).to_json(), "x")
    assert [type(value) for value in read.params.values()] == [int, float, bool, str]


def test_whether_a_move_changed_anything_is_not_stored() -> None:
    move = AliasMove(number=1, model="ns/m", alias="a", version=1, at=NOW, by="me", writer="w", changed=False)
    assert b"changed" not in move.to_json()


def test_fields_of_later_releases_are_passed_over() -> None:
    raw = json.loads(record().to_json()) | {"fieldOfTomorrow": 1}
    assert documents.load(VersionRecord, json.dumps(raw).encode(), "x") == record()


def test_a_record_without_the_fields_of_later_releases_is_read() -> None:
    raw = json.loads(record().to_json())
    needed = {"model", "buildId", "reason", "files", "format", "version", "digest", "createdAt", "writer"}
    old = {name: value for name, value in raw.items() if name in needed}
    assert documents.load(VersionRecord, json.dumps(old).encode(), "x") == record()


def test_a_newer_schema_asks_for_an_upgrade() -> None:
    raw = json.loads(record().to_json()) | {"schemaVersion": 3, "files": "in another form"}
    with pytest.raises(NewerSchema, match=r"s3://b/key has schema version 3.*reads up to 1: upgrade"):
        documents.load(VersionRecord, json.dumps(raw).encode(), "s3://b/key")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "holds a JSON list"),
        (b'{"schemaVersion": "1"}', "schemaVersion is '1'"),
        (b'{"schemaVersion": true}', "schemaVersion is True"),
        (b"{}", "field model: Field required"),
    ],
)
def test_a_broken_record_is_named_with_the_field(data: bytes, words: str) -> None:
    with pytest.raises(CorruptRecord) as refusal:
        documents.load(VersionRecord, data, "s3://b/key")
    assert str(refusal.value).startswith("s3://b/key")
    assert words in str(refusal.value)


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b'"x"', b"\xff"])
def test_peeking_at_rubbish_gives_nothing(data: bytes) -> None:
    assert documents.peek(data, "buildId") is None


def test_the_root_digest_covers_paths_contents_and_sizes_but_not_order_or_media_types() -> None:
    one = FileEntry(path="a", digest=DIGEST, size=1)
    two = FileEntry(path="b", digest=DIGEST, size=1)
    assert root_digest([one, two]) == root_digest([two, one.model_copy(update={"media_type": "text/plain"})])
    different = [[one], [one, two.model_copy(update={"path": "c"})], [one, two.model_copy(update={"size": 2})]]
    assert len({root_digest(files) for files in [[one, two], *different]}) == 4


def test_a_draft_takes_python_names_and_json_names() -> None:
    by_name = VersionDraft(model="ns/m", build_id=DIGEST, reason="r", files=(), format="onnx")
    assert VersionDraft.model_validate_json(by_name.to_json()) == by_name
