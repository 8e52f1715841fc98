from __future__ import annotations

import base64

import pytest

from slipway.sources.errors import InputMissing, SourceInvalid, SourceMissing
from slipway.sources.resolve import MAX_OBJECTS, pin_configmap, pin_s3
from slipway.storage.memory import MemoryStore


def test_keys_of_a_config_map_are_files_and_their_bytes_are_given_by_digest() -> None:
    source, blobs = pin_configmap("ns", "code", {"b.py": "ä", "a.py": "same"}, {"c.bin": base64.b64encode(b"same").decode()})
    assert [(file.path, file.size) for file in source.files] == [("a.py", 4), ("b.py", 2), ("c.bin", 4)]
    assert [blobs[file.digest] for file in source.files] == [b"same", "ä".encode(), b"same"]
    assert (source.kind, source.uri) == ("configMap", "configmap://ns/code")


def test_the_identity_of_a_config_map_is_that_of_its_files() -> None:
    first, _ = pin_configmap("ns", "code", {"a": "1", "b": "2"}, {})
    same, _ = pin_configmap("elsewhere", "other", {"b": "2"}, {"a": base64.b64encode(b"1").decode()})
    renamed, _ = pin_configmap("ns", "code", {"a": "1", "c": "2"}, {})
    changed, _ = pin_configmap("ns", "code", {"a": "1", "b": "3"}, {})
    assert first.digest == same.digest
    assert len({first.digest, renamed.digest, changed.digest}) == 3


def test_a_config_map_without_code_is_missing() -> None:
    with pytest.raises(SourceMissing, match="ConfigMap ns/code has no data"):
        pin_configmap("ns", "code", {}, {})


@pytest.mark.parametrize(
    ("data", "binary", "words"), [({}, {"a": "not base64!"}, "binaryData 'a' is not base64"), ({"..": "x"}, {}, "'..' segment")]
)
def test_a_malformed_config_map_is_refused(data: dict[str, str], binary: dict[str, str], words: str) -> None:
    with pytest.raises(SourceInvalid, match=words):
        pin_configmap("ns", "code", data, binary)


def test_marks_for_folders_are_no_objects() -> None:
    class WithMarks(MemoryStore):
        def list(self, prefix: str, *, start_after: str = "", limit: int | None = None):  # type: ignore[no-untyped-def]
            from slipway.storage import ObjectInfo

            yield ObjectInfo("data/", 0, "e")
            yield from super().list(prefix, start_after=start_after, limit=limit)

    store = WithMarks()
    with pytest.raises(InputMissing, match="no objects below"):
        pin_s3(lambda _bucket: store, "s3://bucket/data/")
    store.put("data/a", b"1")
    assert [thing.key for thing in pin_s3(lambda _bucket: store, "s3://bucket/data/").pinned.objects] == ["data/a"]


def test_a_prefix_with_endless_objects_is_refused() -> None:
    store = MemoryStore()
    for number in range(MAX_OBJECTS + 1):
        store.put(f"data/{number:06d}", b"")
    with pytest.raises(SourceInvalid, match=r"more than 10000 objects .*name a longer prefix"):
        pin_s3(lambda _bucket: store, "s3://bucket/data/")


def test_the_same_data_elsewhere_is_the_same_input() -> None:
    one, other = MemoryStore(), MemoryStore()
    one.put("data/a.parquet", b"1")
    other.put("moved/to/here/a.parquet", b"1")
    digests = {
        pin_s3(lambda _bucket: one, "s3://bucket/data/").digest,
        pin_s3(lambda _bucket: other, "s3://other/moved/to/here/").digest,
        pin_s3(lambda _bucket: other, "s3://other/moved/to/here/a.parquet").digest,
    }
    assert len(digests) == 1
