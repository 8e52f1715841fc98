"""What the training pod makes of features that a build pinned: the real tables, over a folder."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.features import FeatureStore
from slipway.registry.lineage import lineage_of
from slipway.registry.registry import Registry
from slipway.sources.errors import InputMissing, SourceInvalid
from slipway.sources.feature_pins import pin_features, pin_snapshot
from slipway.sources.pinned import PinnedInput, input_digest
from slipway.sources.resolve import pin_s3
from slipway.storage.files import FileStore
from slipway.training.errors import TrainingError
from slipway.training.feature_inputs import fetch_features
from tests.unit.provenance.support import attested

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIME = pa.timestamp("us", "UTC")
VIEW = {
    "name": "visits",
    "entities": [{"name": "user"}],
    "eventTime": "happened",
    "createdTime": "known",
    "ttl": "30d",
    "features": [{"name": "pages", "type": "int64"}, {"name": "clicks", "type": "int64"}],
}


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


class Place:
    """A registry with one view, and entity rows in another bucket, all in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(FileStore(folder / "registry"))
        self.features = FeatureStore(self.registry, namespace="team", clock=lambda: at(1000))
        self.features.apply(VIEW)

    def stores(self, bucket: str) -> FileStore:
        return FileStore(self.folder / bucket)

    def rows(self, *rows: tuple[int, float, float, int]) -> None:
        """User, hours of the event, hours of creation, pages."""
        users, happened, known, pages = zip(*rows, strict=True)
        self.features.ingest(
            "visits",
            pa.table(
                {
                    "user": pa.array(users, pa.int64()),
                    "happened": pa.array([at(hours) for hours in happened], TIME),
                    "known": pa.array([at(hours) for hours in known], TIME),
                    "pages": pa.array(pages, pa.int64()),
                    "clicks": pa.array(pages, pa.int64()),
                }
            ),
        )

    def asked(self, *rows: tuple[int, float], name: str = "labels.parquet") -> None:
        path = self.folder / name
        table = pa.table({"user": [user for user, _ in rows], "event_time": pa.array([at(hours) for _, hours in rows], TIME)})
        pq.write_table(table, path)
        self.stores("data").put(name, path.read_bytes())

    def pin(self, *names: str, as_of: str = "Latest", entities: str | None = "s3://data/labels.parquet") -> PinnedInput:
        rows = pin_s3(self.stores, entities).pinned if entities else None
        found = pin_features(
            self.registry.store, self.stores, "team", names, as_of=as_of, time="event_time", full_names=False, entities=rows
        )
        return pinned(features=found)

    def fetch(self, entry: PinnedInput) -> tuple[pa.Table, Any]:
        (record,) = fetch_features([entry], self.folder / "inputs", self.registry, self.stores)
        return pq.read_table(self.folder / "inputs" / entry.name / "data.parquet"), record


def pinned(**what: Any) -> PinnedInput:
    draft = PinnedInput(name="train", digest=f"sha256:{'0' * 64}", **what)
    return draft.model_copy(update={"digest": input_digest(draft)})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_rows_that_came_after_the_pin_do_not_appear(place: Place) -> None:
    place.rows((1, -2, -2, 10))
    place.asked((1, 0), (2, 0))
    entry = place.pin("visits")
    place.rows((1, -1, -1, 99), (2, -1, -1, 99))
    first, record = place.fetch(entry)
    assert first["pages"].to_pylist() == [10, None]
    _, again = place.fetch(entry)
    assert again.digest == record.digest, "the same pins give the same bytes"
    newer = place.pin("visits")
    assert newer.digest != entry.digest
    assert place.fetch(newer)[0]["pages"].to_pylist() == [99, 99]


@pytest.mark.parametrize(
    ("as_of", "pages"), [("Latest", 30), ("EntityTime", 10), ((NOON).isoformat(), 10), (at(30).isoformat(), 30)]
)
def test_as_of_says_what_was_known(place: Place, as_of: str, pages: int) -> None:
    place.rows((1, -2, -2, 10), (1, -1, 24, 30))
    place.asked((1, 0))
    table, record = place.fetch(place.pin("visits:pages", as_of=as_of))
    assert table.column_names == ["user", "event_time", "pages"]
    assert table["pages"].to_pylist() == [pages]
    assert record.features.as_of == as_of


def test_without_entity_rows_each_entity_has_the_row_that_holds(place: Place) -> None:
    place.rows((1, -2, -2, 10), (1, -1, 24, 30), (2, -24 * 40, -24 * 40, 5))
    latest, _ = place.fetch(place.pin("visits", entities=None))
    assert latest.select(["user", "pages"]).to_pylist() == [{"user": 1, "pages": 30}], "the other is beyond its TTL"
    then, _ = place.fetch(place.pin("visits", as_of=NOON.isoformat(), entities=None))
    assert then["pages"].to_pylist() == [10]


def test_a_snapshot_comes_as_it_was_frozen(place: Place) -> None:
    place.rows((1, -2, -2, 10))
    entities = pa.table({"user": [1], "event_time": pa.array([NOON], TIME)})
    with place.features.training_set(entities, ["visits"]) as made:
        frozen = place.features.freeze("churn", made)
    place.rows((1, -1, -1, 99))
    entry = pinned(snapshot=pin_snapshot(place.registry.store, "team", "churn", None))
    table, record = place.fetch(entry)
    assert table["pages"].to_pylist() == [10]
    assert (record.rows, record.features.snapshot, record.uri) == (1, frozen.digest, "features://team/churn:1")


def test_lineage_shows_what_a_version_saw(place: Place) -> None:
    place.rows((1, -2, -2, 10))
    place.asked((1, 0))
    _, record = place.fetch(place.pin("visits", as_of="EntityTime"))
    version = attested()[1].model_copy(update={"inputs": (record,)})
    node = next(node for node in lineage_of(version, (), ()).up() if node.kind == "features")
    assert node.name == "features://team/visits"
    assert "team/visits revision 1" in node.facts["views"]
    assert "table version 1" in node.facts["views"]
    assert node.facts["as of"] == "EntityTime"
    assert node.facts["entities"] == "s3://data/labels.parquet"


def test_what_cannot_be_made_is_told(place: Place) -> None:
    with pytest.raises(InputMissing, match="has no rows yet"):
        place.pin("visits", entities=None)
    place.rows((1, -2, -2, 10))
    place.stores("data").put("labels.txt", b"1")
    with pytest.raises(SourceInvalid, match=r"Parquet or CSV files belong there, not labels\.txt"):
        place.fetch(place.pin("visits", entities="s3://data/labels.txt"))
    pq.write_table(pa.table({"event_time": pa.array([NOON], TIME)}), place.folder / "bad.parquet")
    place.stores("data").put("bad.parquet", (place.folder / "bad.parquet").read_bytes())
    with pytest.raises(SourceInvalid, match="entity key user is not among the entity rows"):
        place.fetch(place.pin("visits", entities="s3://data/bad.parquet"))
    with pytest.raises(SourceInvalid, match="has no feature 'pags'"):
        place.pin("visits:pags", entities=None)


def test_a_view_that_changes_or_goes_after_the_pin(place: Place) -> None:
    place.rows((1, -2, -2, 10))
    place.asked((1, 0))
    entry = place.pin("visits")
    first, record = place.fetch(entry)
    place.features.apply({**VIEW, "ttl": "1h", "features": VIEW["features"][:1]})  # type: ignore[index]
    again, same = place.fetch(entry)
    assert again.equals(first) and same.digest == record.digest, "by the definition that was pinned"
    assert place.fetch(place.pin("visits"))[0]["pages"].to_pylist() == [None], "the new one has another TTL"
    for info in list(place.registry.store.list("features/team/visits/")):
        place.registry.store.delete(info.key)
    with pytest.raises((SourceInvalid, InputMissing), match=r"input train: .*visits"):
        place.fetch(entry)


@pytest.mark.parametrize("library", ["deltalake", "duckdb"])
def test_an_image_without_the_libraries_says_which_one_has_them(
    place: Place, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.rows((1, -2, -2, 10))
    place.asked((1, 0))
    joined = place.pin("visits")
    with place.features.training_set(pa.table({"user": [1], "event_time": pa.array([NOON], TIME)}), ["visits"]) as made:
        place.features.freeze("churn", made)
    frozen = pinned(snapshot=pin_snapshot(place.registry.store, "team", "churn", None))
    for name in [name for name in sys.modules if name.startswith(("slipway.features.", library))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(TrainingError) as told:
        place.fetch(joined)
    assert told.value.reason == "SourceInvalid"
    assert f"input train: the training image has no {library}: " in str(told.value)
    assert "slipway images build training --with features" in str(told.value)
    assert place.fetch(frozen)[0].num_rows == 1, "a frozen training set needs neither"
