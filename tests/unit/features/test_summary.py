"""What is recorded of an ingestion, and what the operator reads of it without a Delta reader."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from slipway.features import FeatureStore, delta_log, ingested, parse
from slipway.features.delta_log import EMPTY, TableFacts
from slipway.features.summary import MAX_SAMPLE, Summary
from slipway.registry.names import ModelName
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore
from slipway.storage.port import Denied

START = datetime(2026, 11, 1, tzinfo=UTC)
NAME = ModelName("team", "visits")
FOLDER = "features/team/visits/table"
VIEW = {
    "name": "visits",
    "entities": [{"name": "user"}],
    "eventTime": "happened",
    "features": [{"name": "pages", "type": "int64"}, {"name": "country", "type": "string"}],
}


def rows(count: int, *, first: int = 0, nulls: int = 0) -> pa.Table:
    happened = [START + timedelta(seconds=first + n) for n in range(count)]
    return pa.table(
        {
            "user": pa.array(range(first, first + count), pa.int64()),
            "happened": pa.array(happened, pa.timestamp("us", "UTC")),
            "pages": pa.array([None] * nulls + list(range(count - nulls)), pa.int64()),
            "country": pa.array(["de"] * count),
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


@pytest.fixture
def features(store: FileStore) -> FeatureStore:
    made = FeatureStore(Registry(store), namespace="team")
    made.apply(VIEW)
    return made


def facts(store: FileStore, known: TableFacts = EMPTY) -> TableFacts:
    versions = delta_log.commits_after(store, FOLDER, known.version)
    assert versions is not None
    found = delta_log.facts(store, FOLDER, versions, "happened", known, ingested.newest(store, NAME))
    assert found is not None
    return found


def test_each_ingestion_is_recorded_beside_the_table(features: FeatureStore) -> None:
    features.ingest("visits", rows(10, nulls=2))
    features.ingest("visits", rows(30, first=100, nulls=1))
    newest, first = features.ingestions("visits")
    assert (newest.table_version, newest.rows, newest.table_rows) == (2, 30, 40)
    assert (newest.nulls, newest.table_nulls) == ({"pages": 1, "country": 0}, {"pages": 3, "country": 0})
    assert newest.first_event == START + timedelta(seconds=100)
    assert newest.last_event == newest.newest_event == START + timedelta(seconds=129)
    assert (first.table_version, first.table_rows, first.revision) == (1, 10, 1)
    pages = next(column for column in newest.statistics if column.name == "pages")
    assert (pages.rows, pages.nulls, pages.max) == (30, 1, 28)


def test_nothing_written_is_nothing_recorded(features: FeatureStore) -> None:
    features.ingest("visits", rows(10), batch_id="monday")
    features.ingest("visits", rows(10), batch_id="monday")
    features.ingest("visits", rows(10), upsert=True)
    assert len(features.ingestions("visits")) == 1


def test_a_record_that_cannot_be_written_does_not_fail_what_was_written(
    features: FeatureStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise Denied("no right to features/team/visits/ingestions/")

    monkeypatch.setattr(ingested, "record", refuse)
    assert features.ingest("visits", rows(10)).rows == 10
    assert features.status("visits").rows == 10
    assert "table version 1 could not be recorded" in caplog.text


def test_the_operator_reads_rows_that_a_real_delta_writer_appended(features: FeatureStore, store: FileStore) -> None:
    features.ingest("visits", rows(10))
    known = facts(store)
    assert (known.version, known.rows) == (1, 10)
    write_deltalake(store.root / FOLDER, features.latest("visits").slice(0, 5), mode="append", schema_mode="merge")
    write_deltalake(store.root / FOLDER, rows(7, first=500), mode="append", schema_mode="merge")
    for start in (EMPTY, known):
        found = facts(store, start)
        assert (found.version, found.rows, found.note) == (3, 22, "")
        assert found.newest is not None
        assert abs(found.newest - (START + timedelta(seconds=506))) < timedelta(milliseconds=1), "as exact as the log"
    assert features.status("visits").rows == 22


def test_the_operator_follows_a_table_through_checkpoints_and_compaction(features: FeatureStore, store: FileStore) -> None:
    for number in range(24):
        features.ingest("visits", rows(1, first=number))
    assert list(store.list(f"{FOLDER}/_delta_log/_last_checkpoint")), "the table has a checkpoint"
    table = DeltaTable(store.root / FOLDER)
    table.optimize.compact()
    assert facts(store).rows == 24
    table = DeltaTable(store.root / FOLDER)
    table.delete("user = 3")
    assert facts(store).rows is None, "not guessed"
    features.ingest("visits", rows(1, first=99))
    assert facts(store).rows == 24


def test_a_sample_is_even_and_bounded_however_the_pieces_fall() -> None:
    view = parse(VIEW)
    whole = rows(70_001)
    for size in (1_000, 9_999, 70_001):
        summary = Summary(view)
        for start in range(0, whole.num_rows, size):
            summary.add(whole.slice(start, size))
        users = pa.concat_tables(summary._sample)["user"].to_pylist()
        assert MAX_SAMPLE / 2 <= len(users) <= MAX_SAMPLE
        assert users == list(range(0, 70_001, users[1] - users[0])), "every so many rows of all"


def test_the_operator_needs_no_reader_of_tables() -> None:
    """Its image has none."""
    blocked = "import sys; [sys.modules.__setitem__(n, None) for n in ('deltalake', 'duckdb', 'pyarrow', 'numpy', 'pandas')]; "
    code = blocked + "import slipway.controllers.feature_view, slipway.reconcile.moves"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
