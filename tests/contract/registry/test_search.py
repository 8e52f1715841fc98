"""Search, lineage, differences and the index over real stores: with an index, with a stale one, with a broken one."""

from __future__ import annotations

from hashlib import sha256

import pytest

from slipway.registry import InvalidQuery, Registry, UnknownModel
from slipway.registry.index import MANIFEST, SEGMENTS
from slipway.registry.packs import PACK
from slipway.registry.records import Environment, FileEntry, InputRecord, SourceRecord, VersionDraft, VersionRecord
from slipway.storage.port import ObjectStore

DATA = "sha256:" + "d" * 64


def register(registry: Registry, model: str, number: int, **more: object) -> VersionRecord:
    file = FileEntry(path="model.onnx", digest="sha256:" + sha256(f"{model} {number}".encode()).hexdigest(), size=10)
    draft = VersionDraft(
        model=model,
        build_id="sha256:" + sha256(f"build {model} {number}".encode()).hexdigest(),
        reason="test",
        files=(file,),
        format="onnx",
        **{"metrics": {"auc": number / 100}, "params": {"C": number}, **more},  # type: ignore[arg-type]
    )
    return registry.register(draft, check=False)


@pytest.fixture
def registry(store: ObjectStore) -> Registry:
    return Registry(store)


def refs(registry: Registry, expression: str, **more: object) -> list[str]:
    return [hit.ref for hit in registry.search(expression, **more).hits]  # type: ignore[arg-type]


def test_what_was_registered_a_moment_ago_is_found_with_and_without_an_index(registry: Registry) -> None:
    for number in range(1, 5):
        register(registry, "ns/a", number)
    assert refs(registry, "metrics.auc > 0.02") == ["ns/a:4", "ns/a:3"]
    assert registry.search("").unindexed == 4
    report = registry.update_index()
    assert (report.models, report.versions, report.added) == (1, 4, 4)
    register(registry, "ns/b", 3)
    register(registry, "ns/a", 5)
    result = registry.search("metrics.auc >= 0.03", order_by="-metrics.auc")
    assert [hit.ref for hit in result.hits] == ["ns/a:5", "ns/a:4", "ns/a:3", "ns/b:1"]
    assert (result.total, result.unindexed) == (4, 2)
    assert registry.update_index().added == 2
    assert registry.search("").unindexed == 0


def test_pages_models_and_namespaces(registry: Registry) -> None:
    for model in ("ns/a", "ns/b", "other/a"):
        for number in range(1, 4):
            register(registry, model, number)
    registry.update_index()
    everything = refs(registry, "", order_by="version")
    assert everything == [f"{m}:{n}" for n in (1, 2, 3) for m in ("ns/a", "ns/b", "other/a")]
    assert [ref for offset in (0, 4, 8) for ref in refs(registry, "", order_by="version", limit=4, offset=offset)] == everything
    assert refs(registry, "params.C = 2", namespace="ns", order_by="model") == ["ns/a:2", "ns/b:2"]
    with pytest.raises(InvalidQuery):
        registry.search("version = 1) or (version = 2", namespace="ns")
    assert refs(registry, "version = 1", models=["other/a"]) == ["other/a:1"]
    assert refs(registry, "version = 1", models=["ns/nobody"]) == []
    with pytest.raises(InvalidQuery, match="position 10"):
        registry.search("version >", models=["ns/a"])


def test_losing_the_index_or_a_part_of_it_loses_nothing(registry: Registry) -> None:
    for number in range(1, 8):
        register(registry, "ns/a", number)
    registry.update_index()
    everything = refs(registry, "", order_by="version")
    (segment,) = [info.key for info in registry.store.list(SEGMENTS)]
    registry.store.put(segment, b"rubbish")
    other = Registry(registry.store)
    assert refs(other, "", order_by="version") == everything
    registry.store.delete(segment)
    assert refs(Registry(registry.store), "", order_by="version") == everything
    assert Registry(registry.store).update_index().versions == 7
    registry.store.put(MANIFEST, b"{")
    assert refs(Registry(registry.store), "", order_by="version") == everything
    assert Registry(registry.store).update_index(afresh=True).versions == 7
    assert Registry(registry.store).search("").unindexed == 0


def test_many_small_updates_are_made_into_one_segment(registry: Registry) -> None:
    for number in range(1, 20):
        register(registry, "ns/a", number)
        registry.update_index()
    manifest = registry._index.manifest()
    assert manifest is not None
    assert len(manifest.segments) <= 8
    assert manifest.covered == {"ns/a": 19}
    assert refs(registry, "version > 17") == ["ns/a:19", "ns/a:18"]
    assert registry.search("").unindexed == 0


def test_a_record_that_cannot_be_read_is_told_and_hides_no_other(registry: Registry) -> None:
    for number in range(1, 4):
        register(registry, "ns/a", number)
    key = "models/ns/a/versions/000000000002.json"
    whole = registry.store.get(key).data
    registry.store.put(key, whole.replace(b'"schemaVersion":1', b'"schemaVersion":99'))
    for _ in range(2):
        result = registry.search("")
        assert [hit.version for hit in result.hits] == [3, 1]
        assert result.skipped == ("ns/a:2",)
        assert registry.update_index().skipped == 1
    registry.store.put(key, whole)
    assert registry.update_index(afresh=True).skipped == 0
    assert registry.search("").skipped == ()


def test_a_long_page_is_read_from_packs_and_is_the_same(registry: Registry) -> None:
    for number in range(1, 2 * PACK + 4):
        register(registry, "ns/a", number)
    before = registry.versions("ns/a", limit=100)
    report = registry.update_index()
    assert report.packs == 2
    assert registry.versions("ns/a", limit=100) == before
    assert registry.versions("ns/a", before=PACK + 3, limit=PACK) == [r for r in registry.versions("ns/a", limit=500) if 3 <= r.version < PACK + 3]  # fmt: skip
    registry.store.put(f"index/packs/ns/a/{1:012d}.jsonl.gz", b"rubbish")
    assert registry.versions("ns/a", limit=500)[-1].version == 1


def test_lineage_goes_up_to_data_and_code_and_down_to_who_serves(registry: Registry) -> None:
    image = "registry.example.com/app@sha256:" + "a" * 64
    register(registry, "ns/a", 1)
    register(
        registry,
        "ns/a",
        2,
        inputs=(InputRecord(name="train", uri="s3://data/train.parquet", digest=DATA, size=5, rows=569),),
        source=SourceRecord(kind="git", uri="https://git.example.com/ml.git", digest="sha256:" + "c" * 64, commit="f" * 40),
        environment=Environment(python="3.12", image="training@sha256:" + "b" * 64),
    )
    registry.move_alias("ns/a", "champion", 2, by="ann")
    registry.pin("ModelDeployment", "ns", "bc", versions=["ns/a:2"], images=[image])
    registry.pin("ModelDeployment", "ns", "old", versions=["ns/a:1"])
    lineage = registry.lineage("ns/a@champion")
    assert lineage.root == "version:ns/a:2"
    assert [(node.kind, node.name) for node in lineage.up()] == [
        ("build", "slipway"),
        ("data", "s3://data/train.parquet"),
        ("code", "https://git.example.com/ml.git"),
        ("image", "training"),
    ]
    assert [(node.kind, node.name) for node in lineage.down()] == [
        ("alias", "ns/a@champion"),
        ("deployment", "ns/bc"),
        ("image", "registry.example.com/app"),
    ]
    assert [pin.name for pin in registry.deployed("ns/a")] == ["bc", "old"]
    assert [pin.name for pin in registry.deployed("ns/a", 1)] == ["old"]
    registry.unpin("ModelDeployment", "ns", "old")
    assert registry.deployed("ns/a", 1) == []
    with pytest.raises(UnknownModel):
        registry.lineage("ns/nobody")


def test_difference_of_two_versions(registry: Registry) -> None:
    register(registry, "ns/a", 1, tags={"team": "ml"})
    register(registry, "ns/a", 2, metrics={"auc": 0.5, "f1": 1.0})
    found = registry.diff("ns/a:1", "ns/a:2")
    changes = {(change.section, change.name): change for change in found.changes}
    assert changes["metrics", "auc"].delta == pytest.approx(0.49)
    assert changes["metrics", "f1"].before is None
    assert changes["params", "C"].after == 2
    assert changes["tags", "team"].after is None
    assert not found.same_content
    assert registry.diff("ns/a:1", "ns/a:1").changes == ()
