"""Garbage collection over real stores, on what their clocks say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slipway.registry import LostRace, Policy, Registry, RetiredVersion
from slipway.registry.garbage import collector, lease
from slipway.registry.garbage.state import TERMS, term_key
from slipway.registry.records import RolloutRecord, VersionDraft
from slipway.storage.port import ObjectStore


@pytest.fixture
def registry(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Nothing has to be old here: a real store's clock cannot be moved."""
    monkeypatch.setattr(collector, "MIN_GRACE", timedelta(0))
    return Registry(store)


NOW = Policy(grace=timedelta(0), attempts=timedelta(0), history=timedelta(0))


def register(registry: Registry, number: int) -> str:
    file = registry.blobs.put_bytes(f"model {number}".encode(), path="m")
    digest = "sha256:" + f"{number}" * 64
    registry.register(VersionDraft(model="ns/a", build_id=digest, reason="t", files=(file,), format="onnx"))
    return file.digest


def test_a_run_condemns_and_the_next_deletes(registry: Registry) -> None:
    kept = register(registry, 1)
    orphan = registry.blobs.put_bytes(b"orphan").digest
    young = Policy()
    assert registry.collect(young).young == 1
    registry.store.delete("gc/condemned.json")
    planned = registry.collect(NOW, dry_run=True)
    assert [(item.action, item.name) for item in planned.items] == [("condemn", orphan)]
    assert registry.collect(NOW).items == planned.items
    assert registry.blobs.exists(orphan)
    done = registry.collect(NOW)
    assert [(item.action, item.name) for item in done.items] == [("delete", orphan)]
    assert done.freed == len(b"orphan")
    assert not registry.blobs.exists(orphan)
    assert registry.blobs.exists(kept)
    assert registry.collect(NOW).items == ()
    assert Registry(registry.store).blobs.put_bytes(b"orphan").digest == orphan
    assert registry.blobs.exists(orphan)


def test_a_writer_that_needs_a_condemned_blob_keeps_it(registry: Registry) -> None:
    register(registry, 1)
    orphan = registry.blobs.put_bytes(b"model 2").digest
    registry.collect(NOW)
    writer = Registry(registry.store)
    assert writer.blobs.secure(orphan)
    registry.collect(NOW)
    assert registry.blobs.exists(orphan)
    assert register(writer, 2) == orphan


def test_retired_versions_take_no_alias_until_they_are_brought_back(registry: Registry) -> None:
    digests = [register(registry, number) for number in (1, 2, 3)]
    registry.move_alias("ns/a", "champion", 1, by="x")
    keep_one = Policy(grace=timedelta(0), history=timedelta(0), retention={"ns/a": 1})
    done = registry.collect(keep_one)
    assert [(item.action, item.name) for item in done.items if item.kind == "version"] == [("retire", "ns/a:2")]
    with pytest.raises(RetiredVersion, match="slipway model restore ns/a:2"):
        registry.move_alias("ns/a", "champion", 2, by="x")
    assert registry.missing_blobs(registry.get("ns/a", 2)) == [digests[1]]
    registry.restore("ns/a", 2)
    registry.move_alias("ns/a", "champion", 2, by="x")
    for _ in range(2):
        registry.collect(keep_one)
    assert registry.verify(registry.get("ns/a", 2)).ok
    assert registry.retired("ns/a", 1) is not None or registry.blobs.exists(digests[0])


def test_a_pin_brings_a_retired_version_back(registry: Registry) -> None:
    for number in (1, 2):
        register(registry, number)
    keep_one = Policy(grace=timedelta(0), history=timedelta(0), retention={"ns/a": 1})
    registry.collect(keep_one)
    registry.pin("ModelDeployment", "ns", "d", versions=["ns/a:1"])
    assert registry.retired("ns/a", 1) is None
    registry.collect(keep_one)
    assert registry.retired("ns/a", 1) is None


def test_one_run_at_a_time_and_a_dead_ones_lease_runs_out(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    register(registry, 1)
    assert registry.collect(NOW).kept == 1
    registry.store.put(term_key(2), b'{"run":"other","at":"2026-11-01T12:00:00Z"}')
    with pytest.raises(LostRace, match="5 minutes after it was last seen"):
        registry.collect(NOW)
    monkeypatch.setattr(lease, "LEASE", timedelta(0))
    assert registry.collect(NOW).kept == 1
    assert [info.key for info in registry.store.list(TERMS)] == [term_key(number) for number in (1, 2, 3)]


def test_a_bucket_of_blobs_without_records_is_left_alone(registry: Registry) -> None:
    registry.blobs.put_bytes(b"who knows")
    with pytest.raises(Exception, match="is this a registry"):
        registry.collect(NOW)


def test_a_grace_period_that_would_rob_writers_is_refused(store: ObjectStore) -> None:
    with pytest.raises(ValueError, match="too short"):
        Registry(store, clock=lambda: datetime.now(UTC)).collect(NOW)


def served(number: int, at: datetime, outcome: str = "Served") -> RolloutRecord:
    facts = {"namespace": "ns", "name": "d", "outcome": outcome, "model": "ns/a", "digest": "sha256:" + "d" * 64}
    return RolloutRecord.model_validate({**facts, "version": number, "revision": f"r{number}", "at": at})


def test_what_served_within_retention_is_kept_though_nothing_else_names_it(registry: Registry) -> None:
    for number in (1, 2, 3, 4, 5):
        register(registry, number)
    now = datetime.now(UTC)
    days = {1: 90, 2: 60, 3: 10}
    for number, ago in days.items():
        registry.record_rollout(served(number, now - timedelta(days=ago)))
    registry.record_rollout(served(4, now - timedelta(days=2), "Held"))
    policy = Policy(grace=timedelta(0), retention={"ns/a": 1})
    done = registry.collect(policy)
    # 1 was followed by 2 sixty days ago; 2 served until ten days ago.
    assert [item.name for item in done.items if item.action == "retire"] == ["ns/a:1"]
    assert [(record.outcome, record.version) for record in registry.rollouts("ns", "d")] == [
        ("Held", 4),
        ("Served", 3),
        ("Served", 2),
        ("Served", 1),
    ]


def test_old_history_is_collected_but_for_the_newest_records(registry: Registry) -> None:
    register(registry, 1)
    now = datetime.now(UTC)
    for number in range(40):
        registry.record_rollout(served(1, now - timedelta(days=100 + number)))
        registry.record_rollout(served(1, now - timedelta(days=100 + number)))
    assert len(registry.rollout_keys()) == 40
    planned = registry.collect(Policy(), dry_run=True)
    assert len([item for item in planned.items if item.kind == "rollout"]) == 15
    assert len(registry.rollout_keys()) == 40
    registry.collect(Policy())
    assert len(registry.rollout_keys()) == 25
    assert registry.collect(Policy()).items == ()
