"""Batches that do not fit are refused whole, with the rows that are wrong and why."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from slipway.features import BatchRefused, EntityKey, Feature, FeatureView, ingestion, seen
from slipway.features.ingestion import Ahead, checked, rows_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
VIEW = FeatureView(
    name="visits",
    entities=(EntityKey(name="user", type="int64"), EntityKey(name="shop", type="string")),
    event_time="happened",
    features=(Feature(name="pages", type="int32"), Feature(name="rate"), Feature(name="since", type="date")),
)


def check(view: FeatureView, given: Any, *, now: datetime, time_zone: str | None = None) -> pa.Table:
    return pa.concat_tables(checked(view, rows_of(given), now=now, time_zone=time_zone))


def batch(**changes: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "user": pa.array([1, 2, 3], pa.int64()),
        "shop": pa.array(["a", "b", "c"]),
        "happened": pa.array([NOW - timedelta(days=n) for n in range(3)], pa.timestamp("us", "UTC")),
        "pages": pa.array([1, 2, None], pa.int32()),
        "rate": pa.array([0.5, None, float("nan")]),
        "since": pa.array([date(2026, 1, 1)] * 3),
    }
    return pa.table({name: value for name, value in {**columns, **changes}.items() if value is not None})


def refusal(given: pa.Table, **how: Any) -> BatchRefused:
    with pytest.raises(BatchRefused) as caught:
        check(VIEW, given, now=NOW, **how)
    return caught.value


def test_a_good_batch_has_the_definition_s_types_and_order() -> None:
    given = batch(pages=pa.array([1, 2, 3], pa.int64()), rate=pa.array([1, 2, 3], pa.int64()))
    checked = check(VIEW, given.select(list(reversed(given.column_names))), now=NOW)
    assert checked.schema.names == list(VIEW.columns)
    assert checked.schema.field("pages").type == pa.int32()
    assert checked["rate"].to_pylist() == [1.0, 2.0, 3.0]


def test_whole_numbers_with_gaps_come_from_pandas_as_floats() -> None:
    frame = batch().to_pandas()
    frame["pages"] = [1.0, None, 3.0]
    checked = check(VIEW, pa.Table.from_pandas(frame, preserve_index=False), now=NOW)
    assert checked["pages"].to_pylist() == [1, None, 3]


def test_columns_that_are_missing_renamed_or_unknown() -> None:
    renamed = refusal(batch().rename_columns(["user", "shop", "happened", "page", "rate", "since"]))
    assert "column pages is missing" in str(renamed)
    assert "renamed from pages?" in str(renamed)
    assert "column shop is missing" in str(refusal(batch(shop=None)))
    assert "not in the definition" in str(refusal(batch(extra=pa.array([1, 2, 3]))))


@pytest.mark.parametrize(
    ("column", "values", "row", "words"),
    [
        ("pages", pa.array(["1", "2", "x"]), 0, "'1' is text, not int32"),
        ("pages", pa.array([1, 2**40, 3], pa.int64()), 1, "1099511627776 does not fit into int32"),
        ("pages", pa.array([1.0, 2.5, 3.0]), 1, "2.5 does not fit into int32"),
        ("shop", pa.array([7, 8, 9]), 0, "7 is a number, not string"),
        ("since", pa.array([1, 2, 3]), 0, "1 is a number, not date32"),
        ("user", pa.array([1, None, 3], pa.int64()), 1, "is missing"),
        ("user", pa.array([1.0, float("nan"), 3.0]), 1, "is missing"),
        ("happened", pa.array([datetime(2026, 1, 1)] * 3, pa.timestamp("us")), 0, "has no time zone"),
        ("happened", pa.array(["2026-01-01"] * 3), 0, "not a time"),
        ("happened", pa.array([NOW, NOW + timedelta(hours=1), None], pa.timestamp("us", "UTC")), 1, "lies in the future"),
        ("happened", pa.array([NOW, NOW, None], pa.timestamp("us", "UTC")), 2, "is missing"),
    ],
)
def test_a_bad_row_is_named(column: str, values: pa.Array, row: int, words: str) -> None:
    error = refusal(batch(**{column: values}))
    assert (error.rows[0].row, error.rows[0].column) == (row, column)
    assert words in error.rows[0].reason


def test_two_rows_for_the_same_entity_and_time() -> None:
    given = pa.concat_tables([batch(), batch().slice(1, 1)])
    error = refusal(given)
    assert (error.rows[0].row, error.rows[0].reason) == (3, "the same as in row 1")


def test_times_without_a_zone_may_be_told_which() -> None:
    local = pa.array([datetime(2026, 1, 1, 12)] * 3, pa.timestamp("us"))
    checked = check(VIEW, batch(happened=local), now=NOW, time_zone="Europe/Berlin")
    assert checked["happened"][0].as_py() == datetime(2026, 1, 1, 11, tzinfo=UTC)
    twice = pa.array([datetime(2026, 3, 29, 2, 30)] * 3, pa.timestamp("us"))
    assert "2026-03-29" in str(refusal(batch(happened=twice), time_zone="Europe/Berlin"))
    assert "Atlantis" in str(refusal(batch(happened=local), time_zone="Atlantis/City"))


def test_all_bad_rows_are_counted_and_the_first_ones_told() -> None:
    rows = 5000
    frame = pd.DataFrame(
        {"user": range(rows), "shop": "a", "happened": NOW, "pages": 2**40, "rate": 1.0, "since": date(2026, 1, 1)}
    )
    error = refusal(pa.Table.from_pandas(frame, preserve_index=False))
    assert len(error.rows) == 1000
    assert error.count >= 1000
    assert "none was written" in str(error)
    assert len(str(error)) < 1000


def test_an_empty_batch_is_no_error() -> None:
    assert list(checked(VIEW, rows_of(batch().slice(0, 0)), now=NOW)) == []


@pytest.mark.parametrize("form", ["table", "reader", "frame"])
def test_rows_are_numbered_through_all_pieces(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "ROWS_PER_PIECE", 2)
    wrong = batch(pages=pa.array([1, 2, 2**40], pa.int64()))
    twice = pa.concat_tables([batch(), batch().slice(0, 1)])
    for given, row, words in [(wrong, 2, "does not fit"), (twice, 3, "the same as in row 0")]:
        forms = {"table": given, "reader": given.to_reader(max_chunksize=2), "frame": given.to_pandas()}
        error = refusal(forms[form])
        assert error.rows[0].row == row
        assert words in error.rows[0].reason


def test_two_rows_of_the_same_hash_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_hash_of", lambda columns: "0::UBIGINT")
    assert check(VIEW, batch(), now=NOW).num_rows == 3
    assert refusal(pa.concat_tables([batch(), batch().slice(2, 1)])).rows[0].row == 3


def test_hashes_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "_SORTED", 2)
    assert check(VIEW, batch(), now=NOW).num_rows == 3
    assert refusal(pa.concat_tables([batch(), batch()])).count == 3


def test_a_reader_that_stops_early_lets_the_thread_end() -> None:
    pieces = Ahead(iter([batch()] * 100))
    with pieces:
        next(pieces)
    assert not pieces.running
