"""The feature store over a folder and over a real S3 server, where Delta Lake writes beside us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars
import pyarrow as pa
import pytest

from local import settings
from local.spark import need_spark
from slipway.features import BatchRefused, FeatureStore, InvalidDefinition, InvalidRequest
from slipway.features.errors import UnknownView
from slipway.registry.errors import NotInRegistry
from slipway.registry.registry import Registry
from slipway.storage import ObjectStore
from slipway.storage.files import FileStore
from slipway.storage.sharing import location
from tests.fakes.clock import START, FakeClock

VIEW = {
    "name": "visits",
    "entities": [{"name": "user"}],
    "eventTime": "happened",
    "ttl": "30d",
    "features": [{"name": "pages", "type": "int64"}],
}


def rows(users: list[int], pages: list[int | None], *, days_ago: float = 1) -> pa.Table:
    happened = [START - timedelta(days=days_ago)] * len(users)
    return pa.table(
        {"user": users, "happened": pa.array(happened, pa.timestamp("us", "UTC")), "pages": pa.array(pages, pa.int64())}
    )


def asked(users: list[int], at: datetime = START) -> pa.Table:
    return pa.table({"user": users, "event_time": pa.array([at] * len(users), pa.timestamp("us", "UTC"))})


def pages(features: FeatureStore, users: list[int], **how: Any) -> list[int | None]:
    with features.training_set(asked(users), ["visits"], **how) as made:
        found: list[int | None] = made.to_arrow()["pages"].to_pylist()
    return found


def test_sixteen_writers_at_once_lose_nothing(features: FeatureStore) -> None:
    features.apply(VIEW)
    with ThreadPoolExecutor(16) as pool:
        written = list(pool.map(lambda n: features.ingest("visits", rows([n], [n * 10])), range(16)))
    assert len({one.version for one in written}) <= 16
    assert features.status("visits").rows == 16
    assert pages(features, list(range(16))) == [n * 10 for n in range(16)]


def test_other_engines_read_the_same_table(features: FeatureStore, bucket: ObjectStore) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1, 2], [10, None]))
    place = location(bucket, "features/team/visits/table")
    frame = polars.read_delta(place.uri, storage_options=place.options or None)
    assert sorted(frame["user"].to_list()) == [1, 2]


def test_spark_reads_a_table_as_it_is(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    features = FeatureStore(Registry(store), namespace="team", clock=FakeClock())
    features.apply(VIEW)
    features.ingest("visits", rows([1, 2], [10, None]))
    features.apply({**VIEW, "features": [*VIEW["features"], {"name": "tags", "type": "list<string>"}]})  # type: ignore[misc]
    wide = rows([3], [30]).append_column("tags", pa.array([["a", "b"]]))
    version = features.ingest("visits", wide).version
    features.ingest("visits", wide.set_column(0, "user", pa.array([4])))
    script = Path(__file__).parent / "read_with_spark.py"
    place = location(store, "features/team/visits/table").uri
    command = [str(need_spark(settings.read())), str(script), place, str(version)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_spark_environment())
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["user"], row.get("pages"), row.get("tags")) for row in found] == [
        (1, 10, None),
        (2, None, None),
        (3, 30, ["a", "b"]),
    ]
    assert found[0]["happened"] == (START - timedelta(days=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_times_to_the_nanosecond_see_no_row_of_the_next_microsecond(features: FeatureStore) -> None:
    """What pandas gives. Rounded up, the time would be that of a row that had not happened yet."""
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10], days_ago=2))
    features.ingest("visits", rows([1], [20]))
    at = int((START - timedelta(days=1)).timestamp()) * 10**9
    times = pa.array([at - 100, at], pa.timestamp("ns", "UTC"))
    with features.training_set(pa.table({"user": [1, 1], "event_time": times}), ["visits"]) as made:
        assert made.to_arrow()["pages"].to_pylist() == [10, 20]


def _spark_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "SPARK", "VIRTUAL_ENV"))}


def test_a_refused_batch_leaves_nothing(features: FeatureStore) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10]))
    before = features.status("visits")
    with pytest.raises(BatchRefused, match="row 1"):
        features.ingest(
            "visits", rows([2, 3], [20, 30]).append_column("x", pa.array([1, 2])).drop_columns("x").slice(0, 2).take([0, 0])
        )
    assert features.status("visits") == before


def test_a_finding_in_the_last_row_of_a_long_stream_leaves_nothing(features: FeatureStore) -> None:
    features.apply(VIEW)
    many = 600_000
    good = rows(list(range(many)), [1] * many)
    with pytest.raises(BatchRefused, match=f"row {many}: user, happened: the same as in row 5"):
        features.ingest("visits", pa.concat_tables([good, good.slice(5, 1)]).to_reader(max_chunksize=100_000))
    assert features.status("visits").rows == 0
    written = features.ingest("visits", good.to_reader(max_chunksize=100_000))
    assert (written.rows, features.status("visits").rows) == (many, many)
    with pytest.raises(OSError, match="the source went away"):
        features.ingest("visits", pa.RecordBatchReader.from_batches(good.schema, _breaks_off(good)), upsert=True)
    assert features.status("visits").rows == many


def _breaks_off(good: pa.Table) -> Iterator[pa.RecordBatch]:
    yield rows([-1], [1]).to_batches()[0]
    raise OSError("the source went away")


def test_an_upsert_adds_only_what_is_new_and_keeps_the_past(features: FeatureStore, clock: FakeClock) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1, 2], [10, 20]))
    then = clock()
    clock.advance(60)
    assert features.ingest("visits", rows([1, 2, 3], [10, 21, 30]), upsert=True).rows == 2
    assert features.ingest("visits", rows([1, 2, 3], [10, 21, 30]), upsert=True).rows == 0
    assert pages(features, [1, 2, 3]) == [10, 21, 30]
    assert pages(features, [1, 2, 3], as_of=then) == [10, 20, None], "as it was known before the correction"


def test_a_batch_with_an_id_lands_once(features: FeatureStore) -> None:
    features.apply(VIEW)
    first = features.ingest("visits", rows([1], [10]), batch_id="2026-11-01")
    again = features.ingest("visits", rows([1], [10]), batch_id="2026-11-01")
    assert again.version == first.version
    assert features.status("visits").rows == 1


def test_a_new_feature_is_null_in_old_rows_and_an_old_revision_stays_readable(features: FeatureStore) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10]))
    wider = {**VIEW, "features": [*VIEW["features"], {"name": "device", "type": "string"}]}  # type: ignore[misc]
    assert features.apply(wider).number == 2
    assert features.apply(wider).changed is False
    with features.training_set(asked([1]), ["visits"]) as made:
        assert made.to_arrow().select(["pages", "device"]).to_pylist() == [{"pages": 10, "device": None}]
    features.ingest("visits", rows([2], [20]).append_column("device", pa.array(["phone"])))
    with features.training_set(asked([1, 2]), ["visits:device"]) as made:
        assert made.to_arrow()["device"].to_pylist() == [None, "phone"]
    assert features.view("visits", 1).feature_names == ("pages",)
    with pytest.raises(InvalidDefinition, match=r"features\.pages\.type"):
        features.apply({**VIEW, "features": [{"name": "pages", "type": "string"}]})


def test_a_feature_that_went_leaves_its_column_to_the_past(features: FeatureStore) -> None:
    wider = {**VIEW, "features": [*VIEW["features"], {"name": "device", "type": "string"}]}  # type: ignore[misc]
    features.apply(wider)
    features.ingest("visits", rows([1], [10], days_ago=2).append_column("device", pa.array(["phone"])))
    features.apply(VIEW)
    features.ingest("visits", rows([1, 2], [11, 20]))
    assert pages(features, [1, 2]) == [11, 20]
    assert features.apply(wider).number == 3
    features.ingest("visits", rows([2], [21], days_ago=0.5).append_column("device", pa.array(["watch"])))
    with features.training_set(asked([1, 2]), ["visits:device"]) as made:
        assert made.to_arrow()["device"].to_pylist() == [None, "watch"]
    with features.training_set(asked([1], START - timedelta(days=1.5)), ["visits:device"]) as made:
        assert made.to_arrow()["device"].to_pylist() == ["phone"]


def test_a_view_over_sql_is_joined_by_the_same_rule(features: FeatureStore) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10], days_ago=2))
    features.ingest("visits", rows([1], [30], days_ago=1))
    features.apply(
        {
            "name": "busy",
            "entities": [{"name": "user"}],
            "eventTime": "happened",
            "features": [{"name": "is_busy", "type": "bool"}],
            "source": {"views": ["visits"], "sql": "SELECT *, pages > 20 AS is_busy FROM visits"},
        }
    )
    entities = pa.concat_tables([asked([1], START - timedelta(days=1.5)), asked([1])])
    with features.training_set(entities, ["busy"]) as made:
        assert made.to_arrow()["is_busy"].to_pylist() == [False, True]
        assert made.pins[0].tables == {"team/visits": features.status("visits").table_version}


def test_sql_reads_no_file_of_the_machine(features: FeatureStore, tmp_path: Any) -> None:
    (tmp_path / "secret.csv").write_text("user,happened,is_busy\n")
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10]))
    sql = f"SELECT * FROM read_csv('{tmp_path}/secret.csv')"
    features.apply(
        {
            "name": "thief",
            "entities": [{"name": "user"}],
            "eventTime": "happened",
            "features": [{"name": "is_busy", "type": "bool"}],
            "source": {"views": ["visits"], "sql": sql},
        }
    )
    with pytest.raises(InvalidRequest, match=r"source\.sql"), features.training_set(asked([1]), ["thief"]):
        pass


def test_a_snapshot_is_the_same_bytes_again_and_knows_its_views(features: FeatureStore, clock: FakeClock) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1, 2], [10, 20]))
    moment = clock()
    entities = asked([2, 1, 9]).append_column("label", pa.array([1, 0, 1]))
    with features.training_set(entities, ["visits"]) as made:
        first = features.freeze("churn", made)
    clock.advance(3600)
    features.ingest("visits", rows([1], [99], days_ago=0.5))
    with features.training_set(entities, ["visits"], as_of=moment) as made:
        same = features.freeze("churn", made)
    with features.training_set(entities, ["visits"]) as made:
        second = features.freeze("churn", made)
    assert (first.number, same.number, same.changed, second.number) == (1, 1, False, 2)
    assert first.label_columns == ("label",)
    assert first.views[0].definition == features.revision("visits").digest
    statistics = {column.name: column for column in first.statistics}
    assert (statistics["pages"].nulls, statistics["pages"].max) == (1, 20.0)
    assert [one.number for one in features.snapshots("churn")] == [2, 1]
    assert features.registry.blobs.exists(first.files[0].digest)


def test_what_cannot_be_joined_is_told(features: FeatureStore) -> None:
    features.apply(VIEW)
    frame = pd.DataFrame({"user": [1], "event_time": [START]})
    for entities, how, words in (
        (frame.rename(columns={"user": "usr"}), {}, "entity key user is not among the entity rows"),
        (frame.assign(event_time=[datetime(2026, 1, 1)]), {}, "has no time zone"),
        (frame.assign(event_time=["x"]), {}, "not a time"),
        (frame.assign(event_time=[None]).astype({"event_time": "datetime64[us, UTC]"}), {}, "have no event_time"),
        (frame.assign(user=["a"]), {}, "the entity key int64"),
        (frame.assign(pages=[1]), {}, "full_names=True"),
        (frame, {"features": ["visits:page"]}, "has no feature 'page'"),
        (frame, {"features": []}, "name at least one view"),
        (frame, {"as_of": datetime(2026, 1, 1)}, "has no time zone"),
        (frame, {"as_of": "yesterday"}, "EntityTime"),
        (frame, {"time": "when"}, "there is no column 'when'"),
    ):
        chosen = how.pop("features", ["visits"])  # type: ignore[attr-defined]
        with pytest.raises(InvalidRequest) as caught, features.training_set(entities, chosen, **how):  # type: ignore[arg-type]
            pass
        assert words in str(caught.value)
    with pytest.raises(UnknownView, match="Did you mean team/visits"), features.training_set(frame, ["visit"]):
        pass
    with pytest.raises(NotInRegistry):
        features.snapshot("churn")


def test_keys_of_another_name_and_full_names(features: FeatureStore) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10]))
    frame = pd.DataFrame({"account": [1], "event_time": [datetime(2026, 11, 1, 12, tzinfo=UTC)], "pages": [0]})
    with features.training_set(frame, ["visits"], keys={"user": "account"}, full_names=True) as made:
        assert made.to_pandas()["visits__pages"].tolist() == [10]
        assert made.labels == ("pages",)


def test_several_views_of_several_entities_in_one_set(features: FeatureStore) -> None:
    """Users, shops, and users in shops: each by its own keys, times and TTL."""
    at = {name: pa.array([START - timedelta(days=ago)] * 2, pa.timestamp("us", "UTC")) for name, ago in (("new", 1), ("old", 9))}
    features.apply(VIEW)
    features.apply(
        {"name": "shops", "entities": [{"name": "shop", "type": "string"}], "ttl": "7d", "features": [{"name": "size"}]}
    )
    pair = [{"name": "shop", "type": "string"}, {"name": "user"}]
    features.apply({"name": "baskets", "entities": pair, "eventTime": "seen", "features": [{"name": "total"}]})
    features.ingest("visits", rows([1, 2], [10, 20]))
    features.ingest("shops", pa.table({"shop": ["a", "b"], "event_time": at["new"], "size": [1.0, 2.0]}).slice(0, 1))
    features.ingest("shops", pa.table({"shop": ["a", "b"], "event_time": at["old"], "size": [3.0, 4.0]}))
    features.ingest("baskets", pa.table({"shop": ["a", "b"], "user": [1, 2], "seen": at["old"], "total": [0.1, 0.2]}))
    entities = asked([1, 2, 1]).append_column("shop", pa.array(["a", "b", "b"]))
    with features.training_set(entities, ["visits", "shops:size", "baskets"]) as made:
        found = made.to_arrow().select(["pages", "size", "total"]).to_pylist()
    assert found == [
        {"pages": 10, "size": 1.0, "total": 0.1},
        {"pages": 20, "size": None, "total": 0.2},
        {"pages": 10, "size": None, "total": None},
    ]


def test_writers_of_different_schemas_at_once(features: FeatureStore) -> None:
    """By two definitions at once nothing is lost; rows that fit neither are refused, and the table stays as it is."""
    features.apply(VIEW)
    features.ingest("visits", rows([0], [0]))
    wider = {**VIEW, "features": [*VIEW["features"], {"name": "device", "type": "string"}]}  # type: ignore[misc]

    def write(writer: int) -> None:
        for number in range(4):
            batch = rows([writer * 100 + number], [writer])
            if writer % 2:
                features.apply(wider)
                batch = batch.append_column("device", pa.array(["phone"]))
            try:
                features.ingest("visits", batch)
            except BatchRefused as error:  # its writer had not heard of the new column yet
                assert "column device is missing" in str(error)
                features.ingest("visits", batch.append_column("device", pa.nulls(1, pa.string())))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(1, 5)))
    with pytest.raises(BatchRefused, match="'x' is text, not int64"):
        features.ingest("visits", rows([7], [1]).set_column(2, "pages", pa.array(["x"])).append_column("device", pa.array([""])))
    found = features.latest("visits")
    devices = dict(zip(found["user"].to_pylist(), found["device"].to_pylist(), strict=True))
    assert devices == {0: None} | {w * 100 + n: "phone" if w % 2 else None for w in range(1, 5) for n in range(4)}


def test_ten_million_rows_of_one_key_in_bounded_memory(tmp_path: Path) -> None:
    """The data take 400 MB, and DuckDB 2.5 GB without a bound."""
    script = str(Path(__file__).with_name("read_one_key.py"))
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "operator")}
    done = subprocess.run([sys.executable, script, f"file://{tmp_path}"], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["written"], found["right"]) == (10_000_000, True)
    assert found["peak_mib"] < 1500


WRITER = """
import sys, os
from datetime import datetime, UTC
import pyarrow as pa
from slipway.features import FeatureStore
store = FeatureStore.open(sys.argv[1], namespace="team")
print("ready", flush=True)
for n in range(10**6):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    t = pa.table({"user": list(range(n * 100, n * 100 + 100)), "happened": pa.array([at] * 100, pa.timestamp("us", "UTC")), "pages": [n] * 100})
    store.ingest("visits", t)
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_leaves_whole_batches(bucket: ObjectStore, seaweed: Any) -> None:
    features = FeatureStore.open(
        bucket.uri, namespace="team", options=None if bucket.uri.startswith("file") else seaweed.options()
    )
    features.apply(VIEW)
    env = {**os.environ, "AWS_ENDPOINT_URL_S3": seaweed.endpoint, "AWS_REGION": "us-east-1"}
    with subprocess.Popen([sys.executable, "-c", WRITER, bucket.uri], stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "3":
                break
        os.kill(process.pid, signal.SIGKILL)
    count = features.status("visits").rows
    assert count >= 400
    assert count % 100 == 0
    features.ingest("visits", rows([1], [10]))
    assert features.status("visits").rows == count + 1
