"""Rows to Parquet files: never in the way of a request, bounded in memory, and honest about what was lost."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.serving.monitoring.columns import parquet, texts, values
from slipway.serving.monitoring.payload import PayloadLog, table_of
from slipway.serving.monitoring.sink import Bounds, Sink
from slipway.serving.signature import Signature, Tensor
from slipway.storage.memory import MemoryStore

SIGNATURE = Signature(
    (Tensor("input", "FP32", (-1, 2)),),
    (Tensor("label", "INT64", (-1,)), Tensor("probabilities", "FP32", (-1, 2))),
    ("age", "sum"),
)
SMALL = Bounds(rows=100, size=1 << 20, file_rows=10, file_seconds=0.05)


def until(fact: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not fact():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def table(items: Any) -> pa.Table:
    return pa.table({"n": [n for item in items for n in item]})


def stored(store: MemoryStore, prefix: str = "") -> list[pa.Table]:
    return [pq.read_table(io.BytesIO(store.get(info.key).data)) for info in store.list(prefix)]


class Flaky:
    """A store that refuses until it is told otherwise."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.down = threading.Event()
        self.down.set()
        self.asked = 0

    def put(self, key: str, data: bytes) -> None:
        self.asked += 1
        if self.down.is_set():
            raise OSError("no answer")
        self.store.put(key, data)


def test_a_full_file_is_written_and_an_old_one_too() -> None:
    store = MemoryStore()
    sink = Sink("payloads/m/1", table, store.put, SMALL)
    assert sink.add(range(10), 10, 10)
    until(lambda: sink.files == 1)
    assert sink.add([10], 1, 1)
    until(lambda: sink.files == 2)
    sink.close(60)
    keys = [info.key for info in store.list("")]
    assert all(key.startswith("payloads/m/1/date=20") and key.endswith(".parquet") for key in keys)
    assert sorted(n for one in stored(store) for n in one["n"].to_pylist()) == list(range(11))
    assert (sink.written, sink.waiting, sum(sink.dropped.values())) == (11, 0, 0)


def test_what_is_there_at_the_end_is_stored() -> None:
    store = MemoryStore()
    sink = Sink("p", table, store.put, Bounds(file_seconds=3600))
    sink.add([1, 2, 3], 3, 3)
    sink.close(60)
    assert [one["n"].to_pylist() for one in stored(store)] == [[1, 2, 3]]
    assert not sink.add([4], 1, 1)
    assert sink.dropped["closed"] == 1


@pytest.mark.parametrize(
    "bounds", [Bounds(rows=20, file_rows=5, file_seconds=0.01), Bounds(size=20, file_rows=5, file_seconds=0.01)]
)
def test_a_store_that_does_not_answer_costs_no_more_than_the_bound(bounds: Bounds) -> None:
    flaky = Flaky()
    sink = Sink("p", table, flaky.put, bounds, pauses=(0.01,))
    taken = [sink.add([n], 1, 1) for n in range(50)]
    assert sum(taken) == 20
    assert sink.dropped["full"] == 30
    until(lambda: flaky.asked > 2)
    assert sink.waiting == 20
    flaky.down.clear()
    until(lambda: sink.waiting == 0)
    sink.close(60)
    assert sorted(n for one in stored(flaky.store) for n in one["n"].to_pylist()) == list(range(20))
    assert sink.written == 20


def test_an_end_with_a_dead_store_is_short_and_counted() -> None:
    flaky = Flaky()
    sink = Sink("p", table, flaky.put, SMALL, pauses=(0.01,))
    sink.add([1, 2], 2, 2)
    sink.close(timeout=2)
    assert sink.dropped["closed"] == 2
    assert sink.waiting == 0


def test_rows_of_which_no_table_can_be_made_are_counted_and_not_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(items: Any) -> pa.Table:
        if any(None in item for item in items):
            raise TypeError("no table")
        return table(items)

    store = MemoryStore()
    sink = Sink("p", broken, store.put, Bounds(file_rows=1, file_seconds=0.01))
    sink.add([None], 1, 1)
    sink.add([7], 1, 1)
    until(lambda: sink.files == 1)
    sink.close(60)
    assert sink.dropped["failed"] == 1
    assert [one["n"].to_pylist() for one in stored(store)] == [[7]]
    assert "could not be written as Parquet" in capsys.readouterr().err


def requests(count: int) -> list[tuple[str, list[Any], list[Any]]]:
    made = []
    for n in range(count):
        X = np.full((2, 2), n, dtype=np.float32)
        made.append((f"id-{n}", [X], [np.array([n, n + 1]), np.full((2, 2), 0.5, dtype=np.float32)]))
    return made


def test_the_payload_log_has_a_row_for_each_row_by_the_names_of_training() -> None:
    store = MemoryStore()
    log = PayloadLog(Sink("p", table_of(SIGNATURE), store.put), 1.0, clock=lambda: 1_700_000_000.5)
    log.observe(requests(3))
    log.sink.close(60)
    (found,) = stored(store)
    assert found.column_names == ["request_id", "row", "time", "input.age", "input.sum", "output.label", "output.probabilities"]
    assert found.num_rows == 6
    assert found.slice(2, 2).to_pylist()[1] == {
        "request_id": "id-1",
        "row": 1,
        "time": found["time"][3].as_py(),
        "input.age": 1.0,
        "input.sum": 1.0,
        "output.label": 2,
        "output.probabilities": [0.5, 0.5],
    }
    assert found["time"][0].as_py().isoformat() == "2023-11-14T22:13:20.500000+00:00"


def test_a_sample_is_of_the_same_requests_everywhere() -> None:
    chosen = []
    for _ in range(2):
        store = MemoryStore()
        log = PayloadLog(Sink("p", table_of(SIGNATURE), store.put), 0.25)
        log.observe(requests(400))
        log.sink.close(60)
        chosen.append({row for one in stored(store) for row in one["request_id"].to_pylist()})
    assert chosen[0] == chosen[1]
    assert 60 < len(chosen[0]) < 140


def test_requests_of_one_row_are_kept_as_if_they_had_come_alone() -> None:
    X, label = np.arange(400, dtype=np.float32).reshape(200, 2), np.arange(200)
    outputs = [label, np.full((200, 2), 0.5, dtype=np.float32)]
    ids = [f"id-{n}" for n in range(200)]
    kept = []
    for together in (True, False):
        store = MemoryStore()
        log = PayloadLog(Sink("p", table_of(SIGNATURE), store.put), 0.25, clock=lambda: 1_700_000_000.5)
        if together:
            log.observe_rows(ids[:150], [X[:150]], [one[:150] for one in outputs])
            log.observe_rows(ids[150:151], [X[150:151]], [one[150:151] for one in outputs])
            log.observe_rows(ids[151:], [X[151:]], [one[151:] for one in outputs])
        else:
            log.observe([(ids[n], [X[n : n + 1]], [one[n : n + 1] for one in outputs]) for n in range(200)])
        log.sink.close(60)
        kept.append([row for one in stored(store) for row in one.to_pylist()])
    assert kept[0] == kept[1]
    assert {row["row"] for row in kept[0]} == {0}
    assert 20 < len(kept[0]) < 90
    assert all(
        row["request_id"] == f"id-{row['output.label']}" and row["input.age"] == 2 * row["output.label"] for row in kept[0]
    )


def test_rows_that_came_last_are_stored_though_no_more_come() -> None:
    store = MemoryStore()
    log = PayloadLog(Sink("p", table_of(SIGNATURE), store.put, SMALL), 1.0)
    for n in range(3):
        X = np.full((1, 2), n, dtype=np.float32)
        log.observe_rows([f"id-{n}"], [X], [np.array([n]), np.full((1, 2), 0.5, dtype=np.float32)])
    until(lambda: log.sink.written == 3)
    log.sink.close(60)
    assert [row["input.age"] for one in stored(store) for row in one.to_pylist()] == [0, 1, 2]


def test_wide_rows_are_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.serving.monitoring.payload._BYTES", 1000)
    log = PayloadLog(Sink("p", table_of(SIGNATURE), MemoryStore().put, Bounds(file_seconds=3600)), 1.0)
    log.observe_rows(["a"] * 200, [np.zeros((200, 2), dtype=np.float32)], [np.zeros(200, dtype=np.int64), np.zeros((200, 2))])
    assert log.sink.waiting == 200
    log.sink.close(60)


def test_columns_of_values_that_repeat_have_a_dictionary_and_others_have_none() -> None:
    numbers = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    data = parquet(
        {
            "id": texts([f"id-{n}" for n in range(1000)]),
            "town": texts(["Bonn", "Köln"] * 500),
            "x": values(numbers[:, 0]),
            "class": values(np.arange(1000) % 3),
            "row": values(numbers),
        }
    )
    file = pq.ParquetFile(io.BytesIO(data))
    group = file.metadata.row_group(0)
    with_dictionary = {group.column(at).path_in_schema for at in range(5) if group.column(at).has_dictionary_page}
    assert with_dictionary == {"town", "class"}
    found = file.read()
    np.testing.assert_array_equal(found["x"], numbers[:, 0])
    assert found["town"].to_pylist() == ["Bonn", "Köln"] * 500
    np.testing.assert_array_equal(np.array(found["row"].to_pylist(), dtype=np.float32), numbers)


def test_texts_and_columns_of_their_own_are_kept_too() -> None:
    signature = Signature((Tensor("town", "BYTES", (-1, 1)), Tensor("age", "INT64", (-1, 1))), (Tensor("label", "BYTES", (-1,)),))
    store = MemoryStore()
    log = PayloadLog(Sink("p", table_of(signature), store.put), 1.0)
    town = np.array([["Bonn"], ["Köln"]], dtype=object)
    log.observe([("a", [town, np.array([[1], [2]])], [np.array(["x", "y"], dtype=object)])])
    log.sink.close(60)
    (found,) = stored(store)
    assert found["input.town"].to_pylist() == ["Bonn", "Köln"]
    assert found["output.label"].to_pylist() == ["x", "y"]
