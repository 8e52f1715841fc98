"""Versions that a newer Slipway wrote: the others are read, listed, promoted and registered as if they were not there."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest

from slipway.registry import NewerSchema, Policy, Registry
from slipway.registry.records import VersionDraft, VersionRecord
from slipway.storage import ObjectStore

MODEL = "ns/m"


def register(registry: Registry, build: int) -> VersionRecord:
    file = registry.blobs.put_bytes(f"model {build}".encode(), path="m")
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return registry.register(VersionDraft(model=MODEL, build_id=build_id, reason="t", files=(file,), format="onnx"))


@pytest.fixture
def registry(store: ObjectStore) -> Registry:
    """Versions 1 to 4, of which a newer Slipway wrote 2 and 4 in another form; opened anew."""
    writer = Registry(store)
    for build in range(1, 5):
        register(writer, build)
    writer.move_alias(MODEL, "champion", 3, by="x")
    for number in (2, 4):
        key = f"models/{MODEL}/versions/{number:012d}.json"
        stored = store.get(key).data
        assert b'"files":' in stored
        store.put(key, stored.replace(b'"schemaVersion":1', b'"schemaVersion":9').replace(b'"files":', b'"parts":'))
    return Registry(store)


def test_a_page_gives_what_can_be_read_and_says_what_cannot(registry: Registry) -> None:
    page = registry.page(MODEL)
    assert [record.version for record in page.records] == [3, 1]
    assert {number: type(error) for number, error in page.unreadable.items()} == {4: NewerSchema, 2: NewerSchema}
    assert page.before is None
    first, second = registry.page(MODEL, limit=2), registry.page(MODEL, before=3, limit=2)
    assert ([r.version for r in first.records], set(first.unreadable), first.before) == ([3], {4}, 3)
    assert ([r.version for r in second.records], set(second.unreadable), second.before) == ([1], {2}, None)
    with pytest.raises(NewerSchema, match="upgrade slipway"):
        registry.versions(MODEL)


def test_others_are_resolved_registered_and_promoted(registry: Registry) -> None:
    assert registry.resolve(f"{MODEL}@champion").version == 3
    with pytest.raises(NewerSchema, match="upgrade slipway"):
        registry.resolve(f"{MODEL}@latest")
    assert register(registry, 5).version == 5
    assert register(registry, 3).version == 3, "the build that has a version already"
    registry.move_alias(MODEL, "champion", 5, by="x", expected=3)
    assert registry.resolve(f"{MODEL}@champion").version == 5


def test_a_collector_keeps_their_files(registry: Registry) -> None:
    """It does not know the field that names them: every digest in a record counts."""
    dry = registry.collect(Policy(grace=timedelta(hours=13)), dry_run=True)
    assert (dry.kept, dry.items) == (4, ())
