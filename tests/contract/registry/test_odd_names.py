"""Names at the edge of what is allowed, on every store: dots, slashes in paths, other scripts, 255 bytes and 300 characters."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from slipway.registry import InvalidName, Registry, UnsafePath
from slipway.registry.records import VersionDraft
from slipway.storage.port import ObjectStore

LONGEST = f"{'n' * 63}/{'.'.join(['m' * 63] * 3)}.{'x' * 61}"
PATHS = (
    "model.onnx",
    "mödel/模型 v1.2.onnx",
    "данные/…/plus+percent%41&question?hash#.bin",
    "a.b.c/.hidden/..two.dots/x",
    "/".join(["f" * 99] * 3),
    "深" * 84,
)
ODD = "точность/top-5 (τ≥0.5) " + "x" * 277


def test_a_model_of_the_longest_name_lives_a_whole_life(store: ObjectStore) -> None:
    assert len(LONGEST.partition("/")[2]) == 253
    registry, alias = Registry(store), "a" * 63
    file = registry.blobs.put_bytes(b"weights", path="m")
    for number in range(10):  # far enough for the hints to be written, whose keys are as long
        build = "sha256:" + sha256(str(number).encode()).hexdigest()
        record = registry.register(VersionDraft(model=LONGEST, build_id=build, reason="t", files=(file,), format="onnx"))
        registry.move_alias(LONGEST, alias, record.version, by="x")
    fresh = Registry(store)
    assert fresh.resolve(f"{LONGEST}@{alias}").version == 10
    assert [str(name) for name in fresh.models()] == [LONGEST]
    assert len(fresh.history(LONGEST, alias)) == 10
    fresh.update_index()
    assert fresh.search("version = 7", models=[LONGEST]).total == 1
    fresh.pin("ModelDeployment", "n" * 63, "d" * 63, versions=[f"{LONGEST}:10"])
    assert [node.name for node in fresh.lineage(f"{LONGEST}:10").down()]


@pytest.mark.parametrize("name", ["a.b", "v1.2.3", "0", "x" * 63, "1.2"])
def test_dots_and_digits_are_part_of_a_name(store: ObjectStore, name: str) -> None:
    registry = Registry(store)
    file = registry.blobs.put_bytes(b"weights", path="m")
    registry.register(VersionDraft(model=f"ns/{name}", build_id="sha256:" + "1" * 64, reason="t", files=(file,), format="onnx"))
    registry.move_alias(f"ns/{name}", "champion", 1, by="x")
    assert registry.resolve(f"{name}@champion", "ns").model == f"ns/{name}"


@pytest.mark.parametrize(
    "name", ["mödel", "模型", "m\u200bm", "ｍ", "m/x", "m..x", ".m", "m.", "..", "m\nm", "m m", "M", "m" * 300, "m" * 254]
)
def test_other_names_are_refused_before_anything_is_written(store: ObjectStore, name: str) -> None:
    registry = Registry(store)
    draft = VersionDraft(
        model=f"ns/{name}", build_id="sha256:" + "1" * 64, reason="t",
        files=(registry.blobs.put_bytes(b"weights", path="m"),), format="onnx",
    )  # fmt: skip
    for ask in (
        lambda: registry.register(draft),
        lambda: registry.move_alias(f"ns/{name}", "champion", 1, by="x"),
        lambda: registry.resolve(f"ns/{name}@champion"),
    ):
        with pytest.raises(InvalidName):
            ask()
    assert list(store.list("models/")) == []


def test_space_around_a_name_is_no_part_of_it(store: ObjectStore) -> None:
    registry = Registry(store)
    file = registry.blobs.put_bytes(b"weights", path="m")
    draft = VersionDraft(model=" ns/m\n", build_id="sha256:" + "1" * 64, reason="t", files=(file,), format="onnx")
    assert registry.register(draft).model == "ns/m"
    assert Registry(store).resolve("ns/m").version == 1


def test_files_of_any_name_come_back_under_it(store: ObjectStore, tmp_path: Path) -> None:
    registry, source = Registry(store), tmp_path / "source"
    for number, path in enumerate(PATHS):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(f"content {number}")
    files = registry.blobs.put_tree(source)
    draft = VersionDraft(model="ns/m", build_id="sha256:" + "1" * 64, reason="t", files=files, format="onnx")
    record = Registry(store).get("ns/m", registry.register(draft).version)
    registry.blobs.fetch_tree(record.files, tmp_path / "there")
    there = {
        path.relative_to(tmp_path / "there").as_posix(): path.read_text()
        for path in (tmp_path / "there").rglob("*") if path.is_file()
    }  # fmt: skip
    assert there == {path: f"content {number}" for number, path in enumerate(PATHS)}


@pytest.mark.parametrize("path", ["../m", "/m", "a/../../m", "a//b", "a\x00b", "a\\..\\b", "", "."])
def test_paths_that_lead_elsewhere_are_refused(store: ObjectStore, path: str) -> None:
    registry = Registry(store)
    file = registry.blobs.put_bytes(b"weights", path="m").model_copy(update={"path": path})
    draft = VersionDraft(model="ns/m", build_id="sha256:" + "1" * 64, reason="t", files=(file,), format="onnx")
    with pytest.raises(UnsafePath):
        registry.register(draft)


def test_metrics_parameters_and_tags_of_any_name_are_kept_and_found(store: ObjectStore) -> None:
    assert len(ODD) == 300
    registry = Registry(store)
    registry.register(
        VersionDraft(
            model="ns/m", build_id="sha256:" + "1" * 64, reason="t",
            files=(registry.blobs.put_bytes(b"weights", path="m"),), format="onnx",
            metrics={ODD: 0.5, "a.b": 1.0}, params={ODD: "ü" * 300}, tags={ODD: "a/b.c"},
        )
    )  # fmt: skip
    for indexed in (False, True):
        if indexed:
            registry.update_index()
        for expression in (
            f'metrics."{ODD}" >= 0.5',
            'metrics."a.b" = 1',
            f"params.\"{ODD}\" = '{'ü' * 300}'",
            f"tags.\"{ODD}\" = 'a/b.c'",
        ):
            (hit,) = Registry(store).search(expression).hits
            assert (hit.metrics[ODD], hit.tags[ODD]) == (0.5, "a/b.c")
