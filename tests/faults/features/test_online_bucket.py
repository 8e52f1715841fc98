"""The embedded online store on a bucket that throttles, loses answers, or gives other bytes than were stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from slipway.features import FeatureStore
from slipway.features.online.embedded import EmbeddedStore
from slipway.registry.errors import CorruptBlob
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore
from slipway.storage.port import OutcomeUnknown, StorageError, Unavailable

VIEW = {"name": "visits", "entities": [{"name": "user"}], "features": [{"name": "pages", "type": "int64"}]}
WRITES = ("put_file", "put_if_absent", "put_if_match")


class Faulty:
    """A store whose calls fail when it is told so."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self.fails: dict[str, StorageError] = {}
        self.late = False
        """Whether a call that fails has done what it should."""

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)
        error = self.fails.get(name)
        if error is None:
            return call

        def failing(*words: Any, **named: Any) -> Any:
            if self.late:
                call(*words, **named)
            raise error

        return failing


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def features(files: FileStore) -> FeatureStore:
    made = FeatureStore(Registry(files))
    made.apply(VIEW)
    return made


def ingest(features: FeatureStore, user: int, pages: int) -> None:
    time = pa.array([datetime.now(UTC) - timedelta(seconds=60)], pa.timestamp("us", "UTC"))
    features.ingest("visits", pa.table({"user": [user], "event_time": time, "pages": [pages]}))


def pages(view: Any, *users: int) -> list[int | None]:
    return [None if row is None else row[1][0] for row in view.get([{"user": user} for user in users])]


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("late", [False, True])
def test_a_write_that_fails_leaves_what_was_and_the_next_one_goes_on(
    features: FeatureStore, files: FileStore, tmp_path: Path, call: str, late: bool
) -> None:
    faulty = Faulty(files)
    online = EmbeddedStore(faulty, tmp_path / "cache")  # type: ignore[arg-type]
    if call != "put_if_absent":
        ingest(features, 1, 10)
        features.materialize("visits", online=online)
    ingest(features, 2, 20)
    faulty.fails[call], faulty.late = (OutcomeUnknown("throttled") if call != "put_file" else Unavailable("throttled")), late
    if late and call != "put_file":
        features.materialize("visits", online=online)  # it was written, and recognises its own
    else:
        with pytest.raises(StorageError, match="throttled"):
            features.materialize("visits", online=online)
    faulty.fails.clear()
    features.materialize("visits", online=online)
    assert pages(features.online("visits", online=online), 2) == [20]


def test_a_reader_reads_on_while_the_bucket_is_away(features: FeatureStore, files: FileStore, tmp_path: Path) -> None:
    ingest(features, 1, 10)
    faulty = Faulty(files)
    online = EmbeddedStore(faulty, tmp_path / "cache")  # type: ignore[arg-type]
    features.materialize("visits", online=online)
    view = features.online("visits", online=online)
    ingest(features, 2, 20)
    features.materialize("visits", online=online)
    for call in ("get", "open"):
        faulty.fails = {call: Unavailable("throttled")}
        with pytest.raises(Unavailable):
            view.reader.refresh()
        assert pages(view, 1, 2) == [10, None]
    faulty.fails.clear()
    view.reader.refresh()
    assert pages(view, 1, 2) == [10, 20]


def test_other_bytes_than_were_stored_are_not_read(features: FeatureStore, files: FileStore, tmp_path: Path) -> None:
    ingest(features, 1, 10)
    online = EmbeddedStore(files, tmp_path / "cache")
    segment = features.materialize("visits", online=online).state.segments[0]
    body = bytearray(files.get(segment.key).data)
    body[-1] ^= 1
    files.put(segment.key, bytes(body))
    with pytest.raises(CorruptBlob, match=r"its bytes make sha256:"):
        features.online("visits", online=online)


def test_what_cut_off_materialisations_left_is_removed_after_a_while(
    features: FeatureStore, files: FileStore, tmp_path: Path
) -> None:
    now = [datetime.now(UTC)]
    online = EmbeddedStore(files, tmp_path / "cache", clock=lambda: now[0])
    ingest(features, 1, 10)
    segment = features.materialize("visits", online=online).state.segments[0]
    left = segment.key.rpartition("/")[0] + "/left.sqlite"
    files.put(left, b"x")
    ingest(features, 1, 11)
    features.materialize("visits", online=online)
    assert files.head(left)
    now[0] += timedelta(hours=2)
    ingest(features, 1, 12)
    features.materialize("visits", online=online)
    assert left not in [info.key for info in files.list("features/")]
