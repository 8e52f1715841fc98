"""One suite for both online stores: the embedded one, over a folder, and a real Redis server."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from slipway.features import FeatureStore, InvalidRequest
from slipway.features.online.embedded import EmbeddedStore
from slipway.features.online.port import OnlineStore, OnlineUnavailable
from slipway.features.online.redis import RedisStore
from slipway.registry.registry import Registry
from slipway.storage import ObjectStore
from slipway.storage.files import FileStore
from tests.fakes.clock import FakeClock
from tests.fakes.redis_server import RedisServer, redis_server

TIME = pa.timestamp("us", "UTC")
VIEW: dict[str, Any] = {
    "name": "visits",
    "entities": [{"name": "user"}],
    "eventTime": "happened",
    "createdTime": "known",
    "ttl": "30d",
    "features": [{"name": "pages", "type": "int64"}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)  # the real time: Redis lets keys go by its own clock


@pytest.fixture
def clock(now: datetime) -> FakeClock:
    return FakeClock(now)


@pytest.fixture
def features(tmp_path: Path, clock: FakeClock, request: pytest.FixtureRequest) -> FeatureStore:
    # a namespace of its own: all tests share one Redis
    return FeatureStore(Registry(FileStore(tmp_path / "store")), namespace=f"n{abs(hash(request.node.nodeid))}", clock=clock)


@pytest.fixture(params=["embedded", "redis"])
def online(request: pytest.FixtureRequest, features: FeatureStore, tmp_path: Path, clock: FakeClock) -> OnlineStore:
    if request.param == "embedded":
        return EmbeddedStore(features.registry.store, tmp_path / "cache", clock=clock)
    return RedisStore(request.getfixturevalue("server").url, ttl=timedelta(days=30))


@pytest.fixture
def rows(now: datetime) -> Callable[..., pa.Table]:
    def make(users: list[int], pages: list[int | None], *, ago: float = 1, known: float | None = None) -> pa.Table:
        """`ago`, `known`: days before now."""
        happened = pa.array([now - timedelta(days=ago)] * len(users), TIME)
        seen = pa.array([now - timedelta(days=ago if known is None else known)] * len(users), TIME)
        return pa.table({"user": users, "happened": happened, "known": seen, "pages": pa.array(pages, pa.int64())})

    return make


def pages(features: FeatureStore, online: OnlineStore, *users: int) -> list[int | None]:
    found = features.read_online("visits", [{"user": user} for user in users], online=online)
    return [None if row is None else row["pages"] for row in found]


def test_what_was_ingested_is_read_once_it_is_materialised(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]
) -> None:
    features.apply(VIEW)
    with pytest.raises(InvalidRequest, match="never materialised there"):
        pages(features, online, 1)
    features.ingest("visits", rows([1, 2], [10, None]))
    done = features.materialize("visits", online=online)
    assert (done.rows, done.whole) == (2, True)
    found = features.read_online("visits", [{"user": 2}, {"user": 1}, {"user": 3}], online=online)
    assert found == [{"pages": None}, {"pages": 10}, None]


def test_only_what_came_since_is_read_and_nothing_twice(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]
) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows(list(range(50)), list(range(50))))
    features.materialize("visits", online=online)
    features.ingest("visits", rows([7], [700], ago=0.5))
    done = features.materialize("visits", online=online)
    assert (done.rows, done.whole) == (1, False)
    again = features.materialize("visits", online=online)
    assert (again.rows, again.state.number) == (0, done.state.number)
    assert pages(features, online, 7, 8) == [700, 8]


def test_late_rows_never_replace_newer_ones(features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10], ago=1))
    features.materialize("visits", online=online)
    features.ingest("visits", rows([1], [5], ago=2, known=0.5))  # an older event, known later
    features.materialize("visits", online=online)
    assert pages(features, online, 1) == [10]
    features.ingest("visits", rows([1], [11], ago=1, known=0.5))  # a correction of the newest
    features.materialize("visits", online=online)
    assert pages(features, online, 1) == [11]


def test_rows_beyond_their_ttl_are_not_there(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table], clock: FakeClock
) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10], ago=31))
    features.ingest("visits", rows([2], [20], ago=29))
    assert features.materialize("visits", online=online).rows == 1
    assert pages(features, online, 1, 2) == [None, 20]
    clock.advance(2 * 86400)  # nothing is materialised, yet the row is too old now
    assert pages(features, online, 2) == [None]


def test_to_a_time_and_on_from_there(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table], now: datetime
) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10], ago=5))
    features.ingest("visits", rows([1], [20], ago=2))
    features.ingest("visits", rows([1], [15], ago=4, known=1))  # older than the one before, and known after it
    first = features.materialize("visits", to=now - timedelta(days=3), online=online)
    assert pages(features, online, 1) == [10]
    assert first.state.pending == now - timedelta(days=2)
    with pytest.raises(InvalidRequest, match="does not go back"):
        features.materialize("visits", to=now - timedelta(days=4), online=online)
    features.materialize("visits", to=now - timedelta(days=2), online=online)  # no new table version: what was pending
    assert pages(features, online, 1) == [20]
    last = features.materialize("visits", online=online)
    assert pages(features, online, 1) == [20]
    assert last.state.pending is None


def test_every_type_comes_back_as_it_was(features: FeatureStore, online: OnlineStore, now: datetime) -> None:
    types = {
        "bool": [True, None], "int32": [-7, None], "int64": [2**62, None], "float32": [0.5, math.nan], "float64": [math.inf, None],
        "string": ["grün\x00", ""], "date": [date(1969, 12, 31), None], "timestamp": [now, None], "binary": [b"\x00\xff", None],
        "list<float32>": [[1.5, -2.0], []], "list<string>": [["a", "b"], None], "list<int64>": [[1, None], None],
    }  # fmt: skip
    named = {kind: f"f{at}" for at, kind in enumerate(types)}
    view = VIEW | {
        "entities": [{"name": "user", "type": "string"}, {"name": "day", "type": "date"}, {"name": "old", "type": "bool"}],
        "features": [{"name": name, "type": kind} for kind, name in named.items()],
    }
    features.apply(view)
    from slipway.features.batches import schema
    from slipway.features.definitions import parse

    batch = {
        "user": ["ä", "b"],
        "day": [date(2026, 1, 1)] * 2,
        "old": [True, False],
        "happened": [now] * 2,
        "known": [now] * 2,
        **{named[kind]: values for kind, values in types.items()},
    }
    given = pa.table(batch, schema=schema(parse(view)))
    features.ingest("visits", given)
    features.materialize("visits", online=online)
    keys = given.select(["user", "day", "old"])
    found = features.read_online("visits", keys, online=online)
    assert found.to_pydict().__repr__() == given.drop_columns(["happened", "known"]).to_pydict().__repr__()  # nan is not nan
    assert found.schema.field("f3").type == pa.float32()
    frame = features.read_online("visits", keys.to_pandas(), online=online)
    assert isinstance(frame, pd.DataFrame) and frame["f2"][0] == 2**62


def test_keys_of_the_wrong_kind_are_named(features: FeatureStore, online: OnlineStore) -> None:
    features.apply(VIEW)
    features.materialize("visits", online=online)
    for entity, words in (
        ({"user": "seven"}, "entity 1: user: 'seven' is not of type int64"),
        ({"user": True}, "entity 1: user: True is not"),
        ({"user": 2**63}, "is not of type int64"),
        ({"usr": 1}, "user is missing.*did you mean usr"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            features.read_online("visits", [{"user": 1}, entity], online=online)


def test_another_definition_has_rows_of_its_own(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]
) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10], ago=3))
    features.materialize("visits", online=online)
    features.apply(VIEW | {"ttl": "2d"})
    with pytest.raises(InvalidRequest, match="other definitions of it are there"):
        pages(features, online, 1)
    features.materialize("visits", online=online)
    assert pages(features, online, 1) == [None]
    assert features.read_online("visits", [{"user": 1}], online=online, revision=1) == [{"pages": 10}]


def test_two_at_once_lose_nothing(features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows(list(range(100)), list(range(100))))

    def one(user: int) -> None:
        features.ingest("visits", rows([user], [1000 + user], ago=0.5))
        features.materialize("visits", online=online)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(one, range(3)))
    features.materialize("visits", online=online)
    assert pages(features, online, 0, 1, 2, 3) == [1000, 1001, 1002, 3]


class Cut(Exception):
    """The process ends here."""


def test_cut_off_anywhere_it_is_as_it_was_and_can_go_on(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1, 2], [10, 20]))
    before = features.materialize("visits", online=online).state
    features.ingest("visits", rows([1, 3], [11, 30], ago=0.5))

    def cut(*_: Any, **__: Any) -> None:
        raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(online, "_commit", cut)  # all rows are written, and nothing says so
        with pytest.raises(Cut):
            features.materialize("visits", online=online)
    assert features.online("visits", online=online).reader.state == before
    assert pages(features, online, 2) == [20]
    features.materialize("visits", online=online)
    assert pages(features, online, 1, 2, 3) == [11, 20, 30]


def test_a_reader_sees_what_came_when_it_looks_again(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]
) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows(list(range(20)), [0] * 20))
    features.materialize("visits", online=online)
    view = features.online("visits", online=online)
    for turn in range(1, 21):  # some of these make one file of all
        features.ingest("visits", rows([turn % 20], [turn], ago=1 - turn / 100))
        features.materialize("visits", online=online)
        view.reader.refresh()
        row = view.get([{"user": turn % 20}])[0]
        assert row is not None and row[1] == [turn]
    assert [row[1][0] for row in view.get([{"user": user} for user in range(20)]) if row] == [20, *range(1, 20)]
    view.close()


def test_rows_that_went_from_the_table_go_from_the_store(
    features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table], tmp_path: Path
) -> None:
    from deltalake import DeltaTable, write_deltalake

    place = str(tmp_path / "theirs")
    write_deltalake(place, rows([1, 2], [10, 20]))
    features.apply(VIEW | {"source": {"delta": f"file://{place}"}})
    features.materialize("visits", online=online)
    assert pages(features, online, 1, 2) == [10, 20]
    DeltaTable(place).delete("user = 1")
    assert features.materialize("visits", online=online).whole
    assert pages(features, online, 1, 2) == [None, 20]


def test_a_view_over_sql(features: FeatureStore, online: OnlineStore, rows: Callable[..., pa.Table]) -> None:
    features.apply(VIEW)
    features.apply(
        VIEW
        | {"name": "busy", "features": [{"name": "often", "type": "bool"}]}
        | {"source": {"views": ["visits"], "sql": "SELECT *, pages > 15 AS often FROM visits"}}
    )
    features.ingest("visits", rows([1, 2], [10, 20]))
    features.materialize("busy", online=online)
    assert features.read_online("busy", [{"user": 1}, {"user": 2}], online=online) == [{"often": False}, {"often": True}]
    assert features.materialize("busy", online=online).rows == 0
    features.ingest("visits", rows([1], [30], ago=0.5))
    features.materialize("busy", online=online)
    assert features.read_online("busy", [{"user": 1}], online=online) == [{"often": True}]


def test_the_embedded_store_in_a_real_bucket(s3_store: ObjectStore, tmp_path: Path, rows: Callable[..., pa.Table]) -> None:
    features = FeatureStore(Registry(s3_store))
    online = EmbeddedStore(s3_store, tmp_path / "cache")
    features.apply(VIEW)
    features.ingest("visits", rows(list(range(50)), list(range(50))))
    features.materialize("visits", online=online)
    view = features.online("visits", online=online)
    for user in (1, 2):
        features.ingest("visits", rows([user], [user + 100], ago=0.5))

    def again(_: int) -> bool:
        return features.materialize("visits", online=online).whole

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(again, range(3))) == [False] * 3
    view.reader.refresh()
    assert [row[1] for row in view.get([{"user": user} for user in (1, 2, 3)]) if row] == [[101], [102], [3]]
    view.close()


def test_redis_that_is_away_is_told_without_its_password(features: FeatureStore, tmp_path: Path) -> None:
    features.apply(VIEW)
    away = RedisServer(tmp_path, password="hush")
    with pytest.raises(OnlineUnavailable, match=rf"redis://127\.0\.0\.1:{away.port}/0 does not answer") as refused:
        features.materialize("visits", online=away.url)
    assert "hush" not in str(refused.value)
    with pytest.raises(InvalidRequest, match="write redis://host:6379/0") as wrong:
        features.materialize("visits", online="http://:hush@example.test")
    assert "hush" not in str(wrong.value)


def test_redis_with_a_password(features: FeatureStore, tmp_path: Path, rows: Callable[..., pa.Table]) -> None:
    features.apply(VIEW)
    features.ingest("visits", rows([1], [10]))
    with redis_server(tmp_path, password="hush") as server:
        features.materialize("visits", online=server.url)
        assert features.read_online("visits", [{"user": 1}], online=server.url) == [{"pages": 10}]
        with pytest.raises(OnlineUnavailable, match="refuses: the user or its password is not right") as refused:
            features.materialize("visits", online=server.url.replace("hush", "wrong"))
        assert "wrong" not in str(refused.value)
