"""Credentials that may not list, or not delete: what works without the right works, the rest names it, and nothing is left half."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256

import pytest

from slipway.registry import Policy, Registry
from slipway.registry.garbage import collector
from slipway.registry.records import VersionDraft
from slipway.storage import Denied, ObjectStore, S3Options, open_store
from tests.fakes.s3_dialects import Dialect, DialectServer
from tests.fakes.stores import BUCKET, NO_LIST, Weed, credentials

NOW = Policy(grace=timedelta(0), attempts=timedelta(0), history=timedelta(0))


def draft(registry: Registry, build: int) -> VersionDraft:
    file = registry.blobs.put_bytes(f"model {build}".encode(), path="m")
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return VersionDraft(model="ns/m", build_id=build_id, reason="t", files=(file,), format="onnx")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[DialectServer]:
    """A registry with one version and an alias, that was written with all rights."""
    for name, value in credentials(("x", "y")).items():
        monkeypatch.setenv(name, value)
    with DialectServer(Dialect("all rights")) as server:
        full = Registry(opened(server))
        full.register(draft(full, 1))
        full.move_alias("ns/m", "champion", 1, by="x")
        yield server


def opened(server: DialectServer) -> ObjectStore:
    return open_store("s3://bucket/registry", S3Options(endpoint_url=server.endpoint, region="us-east-1", attempts=1))


def limited(server: DialectServer, *rights: str) -> Registry:
    server.dialect = Dialect("limited", denies=frozenset(rights))
    return Registry(opened(server))


def test_without_list_a_version_is_read_and_verified_by_its_number(bucket: DialectServer) -> None:
    registry = limited(bucket, "list")
    record = registry.resolve("ns/m:1")
    assert registry.verify(record).ok


def test_without_list_what_needs_it_names_the_right_and_writes_no_version(bucket: DialectServer) -> None:
    before = dict(bucket.objects)
    registry = limited(bucket, "list")
    for ask in (
        lambda: registry.resolve("ns/m@champion"),
        lambda: registry.resolve("ns/m"),
        lambda: registry.versions("ns/m"),
        lambda: registry.models(),
        lambda: registry.search(""),
        lambda: registry.register(draft(registry, 2)),
        lambda: registry.move_alias("ns/m", "champion", 1, by="x"),
        lambda: registry.collect(NOW) if NOW.grace >= collector.MIN_GRACE else registry.pins(),
    ):
        with pytest.raises(Denied, match="s3:ListBucket"):
            ask()
    written = {key for key in bucket.objects if key not in before}
    assert all("/blobs/" in key for key in written), "bytes at most, and never a record"


def test_a_process_that_loses_the_right_to_list_still_follows_an_alias(seaweed: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real store that tells what is not there from what is forbidden: the end of a history is read, not listed."""
    uri = f"s3://{BUCKET}/no-list-{sha256(repr(seaweed).encode()).hexdigest()[:8]}"
    writer = Registry(open_store(uri, seaweed.options()))
    for build in range(9):
        writer.move_alias("ns/m", "champion", writer.register(draft(writer, build)).version, by="x")
    for name, value in credentials(NO_LIST).items():
        monkeypatch.setenv(name, value)
    reader = Registry(open_store(uri, seaweed.options()))
    with pytest.raises(Denied, match="s3:ListBucket"):
        list(reader.store.list(""))
    assert reader.resolve("ns/m@champion").version == 9


def test_without_delete_everything_but_deleting_works(bucket: DialectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MIN_GRACE", timedelta(0))
    registry = limited(bucket, "delete")
    assert registry.register(draft(registry, 2)).version == 2
    registry.move_alias("ns/m", "champion", 2, by="x")
    assert registry.resolve("ns/m@champion").version == 2
    registry.pin("ModelDeployment", "ns", "d", versions=["ns/m:2"])
    registry.update_index()
    assert registry.search("version = 2").total == 1
    with pytest.raises(Denied, match="s3:DeleteObject"):
        registry.unpin("ModelDeployment", "ns", "d")


def test_a_collector_without_delete_says_so_and_holds_no_writer_up(
    bucket: DialectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MIN_GRACE", timedelta(0))
    registry = limited(bucket, "delete")
    orphan = registry.blobs.put_bytes(b"model 2").digest
    assert registry.collect(NOW).waiting == 1
    with pytest.raises(Denied, match="s3:DeleteObject"):
        registry.collect(NOW)
    assert registry.blobs.exists(orphan)
    writer = Registry(registry.store, pause=lambda _seconds: pytest.fail("a writer waits for a collector that cannot delete"))
    assert writer.register(draft(writer, 2)).files[0].digest == orphan
