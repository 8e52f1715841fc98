"""The plot's data, the graph's places, a version as MLflow's folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import yaml

from slipway.features.records import ColumnStatistics, Ingestion
from slipway.registry.lineage import lineage_of
from slipway.registry.records import GateResult, VersionRecord
from slipway.web import pictures
from slipway.web.chart import plot
from slipway.web.graph import HEIGHT, WIDTH, draw
from slipway.web.mlflow.folder import listing, members
from tests.unit.provenance.support import attested


def version(number: int = 1, **fields: object) -> VersionRecord:
    return attested()[1].model_copy(update={"version": number, **fields})


def test_metrics_rise_by_version_with_gaps_where_there_is_no_value() -> None:
    made = plot([version(2, metrics={"auc": 0.9}), version(1, metrics={"auc": 0.8, "loss": 3.0})], {})
    assert made is not None
    assert made["versions"] == [1, 2]
    assert made["series"] == {"auc": [0.8, 0.9], "loss": [3.0, None]}
    assert made["shown"] == ["auc"]


def test_the_judged_metric_goes_first_and_infinite_values_are_gaps() -> None:
    gate = GateResult(metric="zeta", passed=True, message="", value=1.0, bound=0.0)
    made = plot([version(1, metrics={"alpha": 0.99, "zeta": 1.0, "eta": float("inf")}, gates=(gate,))], {})
    assert made is not None
    assert next(iter(made["series"])) == "zeta"
    assert made["series"]["eta"] == [None]
    assert made["shown"][:2] == ["zeta", "alpha"]


def test_nothing_to_plot() -> None:
    assert plot([version(metrics={})], {}) is None
    assert plot([], {}) is None


def test_the_graph_flows_to_the_right_and_no_two_boxes_overlap() -> None:
    drawing = draw(lineage_of(version(), (), ()), lambda _node: None)
    kinds = {box.node.kind: box.x for box in drawing.boxes}
    assert kinds["data"] == kinds["code"] == kinds["image"] < kinds["build"] < kinds["version"]
    places = [(box.x, box.y) for box in drawing.boxes]
    for x, y in places:
        assert 0 <= x <= drawing.width - WIDTH
        assert 0 <= y <= drawing.height - HEIGHT
        assert sum(abs(x - a) < WIDTH and abs(y - b) < HEIGHT for a, b in places) == 1


def test_a_version_is_a_folder_with_an_mlmodel() -> None:
    files = members(version())
    document = yaml.safe_load(files["MLmodel"].content or b"")
    assert document["flavors"]["onnx"]["data"] == "model.onnx"
    assert document["flavors"]["python_function"]["loader_module"] == "slipway_onnx_loader"
    assert "slipway_code/slipway_onnx_loader.py" in files
    assert [(one.path, one.is_dir) for one in listing(files, "extra")] == [("labels.txt", False)]
    assert ("extra", True) in [(one.path, one.is_dir) for one in listing(files, "")]
    assert list(listing(files, "nothing")) == []


def test_skops_keeps_its_own_flavour_and_other_formats_have_none() -> None:
    skops = yaml.safe_load(members(version(format="skops"))["MLmodel"].content or b"")
    assert skops["flavors"]["sklearn"]["serialization_format"] == "skops"
    assert yaml.safe_load(members(version(format="other"))["MLmodel"].content or b"")["flavors"] == {}


AT = datetime(2026, 11, 3, 12, tzinfo=UTC)


def ingestion(version: int, rows: int, lag: timedelta, missing: int = 0) -> Ingestion:
    digest = "sha256:" + "a" * 64
    return Ingestion(
        namespace="n", view="v", revision=1, definition=digest, table_version=version, at=AT + timedelta(days=version), rows=rows,
        nulls={"a": missing, "b": 0}, last_event=AT + timedelta(days=version) - lag,
    )  # fmt: skip


def test_a_timeline_goes_to_the_right_and_its_bars_stay_in_their_rows() -> None:
    found = [ingestion(3, 0, timedelta()), ingestion(2, 50, timedelta(hours=9), 25), ingestion(1, 100, timedelta(hours=3))]
    steps = pictures.timeline(found)
    assert [step.version for step in steps] == [1, 2, 3]
    assert [step.place.x for step in steps] == sorted(step.place.x for step in steps)
    for step in steps:
        for row, bar in enumerate(step.bars):
            bottom = (row + 1) * (pictures.ROW + pictures.GAP)
            assert bottom - pictures.ROW <= bar.y <= bar.y + bar.height <= bottom
    assert steps[1].bars[0].height == pictures.ROW, "the highest fills its row"
    assert steps[0].bars[1].height == pictures.ROW
    assert steps[2].bars[1].height == 0
    assert "50 rows, newest event 9 h old, 25.0% missing" in steps[1].place.title
    assert pictures.highest(found) == ("9 h", "100", "25.0%")
    assert pictures.timeline([]) == ()


def test_an_event_ahead_of_the_clock_is_not_older_than_nothing() -> None:
    (step,) = pictures.timeline([ingestion(1, 10, timedelta(minutes=-3))])
    assert step.bars[0].height == 0


def test_a_histogram_keeps_to_its_picture_whatever_is_in_it() -> None:
    flat = ColumnStatistics(name="a", type="double", rows=4, nulls=0, edges=(1.0, 1.0), counts=(4,), min=1.0, max=1.0)
    none = ColumnStatistics(name="b", type="double", rows=4, nulls=4)
    odd = ColumnStatistics(name="c", type="double", rows=4, nulls=0, edges=(0.0, float("inf")), counts=(4,), min=0.0)
    many = ColumnStatistics(
        name="d", type="double", rows=9, nulls=1, edges=(0.0, 1.0, 2.0, 3.0), counts=(2, 0, 6), min=0.0, max=3.0
    )
    for column, bars in ((flat, 1), (none, 0), (odd, 0), (many, 3)):
        card = pictures.card(column)
        assert len(card.bars) == bars
        for bar in card.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= pictures.WIDTH
            assert 0 <= bar.y <= bar.y + bar.height <= pictures.HEIGHT
    assert pictures.card(none).missing == 1.0
    assert pictures.card(many).bars[2].title == "2 to 3: 6 rows"


def test_times_are_told_by_their_range_and_words_by_how_often_they_come() -> None:
    time = ColumnStatistics(
        name="t", type="timestamp[us, tz=UTC]", rows=2, nulls=0, min="2026-11-01", max="2026-11-02", top=(("x", 2),)
    )
    word = ColumnStatistics(name="w", type="string", rows=9, nulls=0, min="a", max="b", top=(("de", 6), ("", 3)))
    assert pictures.card(time).words == ()
    assert "from 2026-11-01 to 2026-11-02" in pictures.card(time).said
    assert [bar.label for bar in pictures.card(word).words] == ["de", "(empty)"]
