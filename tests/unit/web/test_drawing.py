"""The plot's data, the graph's places, a version as MLflow's folder."""

from __future__ import annotations

import yaml

from slipway.registry.lineage import lineage_of
from slipway.registry.records import GateResult, VersionRecord
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
