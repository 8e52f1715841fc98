from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from slipway.training import MetricInvalid, ReportInvalid
from slipway.training.run import MAX_METRICS, read_metrics
from tests.unit.training.support import make_run


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (np.float32(0.25), 0.25),
        (np.int64(3), 3.0),
        (np.array([0.5]), 0.5),
        (np.array(0.5), 0.5),
        (Fraction(1, 4), 0.25),
        (Decimal("0.5"), 0.5),
    ],
)
def test_any_finite_number_is_a_metric(tmp_path: Path, value: object, kept: float) -> None:
    run = make_run(tmp_path)
    run.log_metric("roc_auc", value)
    assert run.metrics == {"roc_auc": kept}
    assert read_metrics(tmp_path / "metrics.json") == {"roc_auc": kept}


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), np.float64("nan"), "0.9", None, True, np.array([1.0, 2.0]), [0.5], 1 + 2j, b"1", 10**400],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, value: object) -> None:
    run = make_run(tmp_path)
    with pytest.raises(MetricInvalid, match="metric roc_auc"):
        run.log_metric("roc_auc", value)
    assert run.metrics == {}


@pytest.mark.parametrize("name", ["", "a b", "1st", "-x", "ä", "a" * 101, "a\n", 7])
def test_a_malformed_metric_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MetricInvalid, match="a name has letters"):
        make_run(tmp_path).log_metric(name, 1)


@pytest.mark.parametrize("name", ["roc_auc", "val/loss", "class.0.f1", "top-5", "_x", "a" * 100])
def test_names_that_gates_accept_are_accepted(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path)
    run.log_metric(name, 1)
    assert name in run.metrics


def test_the_last_value_of_a_metric_counts(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.log_metric("loss", 3)
    run.log_metrics({"loss": 2, "accuracy": 0.5})
    assert run.metrics == {"loss": 2.0, "accuracy": 0.5}


def test_several_metrics_are_kept_all_or_none(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(MetricInvalid, match="metric loss is nan"):
        run.log_metrics({"accuracy": 0.5, "loss": float("nan")})
    assert run.metrics == {}


def test_too_many_metrics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MetricInvalid, match=f"a version keeps {MAX_METRICS} at most"):
        make_run(tmp_path).log_metrics({f"m{i}": i for i in range(MAX_METRICS + 1)})


@pytest.mark.parametrize("text", ["[1]", "{", "", '{"a": NaN}', '{"a": "x"}', '{"a b": 1}', "\xff"])
def test_a_malformed_metrics_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(MetricInvalid):
        read_metrics(path)


def test_no_metrics_file_means_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.json") == {}


def test_a_report_is_a_file_or_text_or_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "out")
    source = tmp_path / "plot.svg"
    source.write_text("<svg/>")
    run.log_report("a.svg", source)
    run.log_report("b.svg", str(source))
    run.log_report("plots/c.html", "<p>hello</p>")
    run.log_report("d.png", b"\x89PNG")
    run.log_report("e.md", "A model card of one line")
    reports = tmp_path / "out" / "reports"
    assert (reports / "a.svg").read_text() == (reports / "b.svg").read_text() == "<svg/>"
    assert (reports / "plots" / "c.html").read_text() == "<p>hello</p>"
    assert (reports / "d.png").read_bytes() == b"\x89PNG"
    assert (reports / "e.md").read_text() == "A model card of one line"


@pytest.mark.parametrize(
    "name", ["", "../x", "/etc/passwd", "a/../b", ".hidden", "a//b", "a/", "a\nb", "a" * 201, "-x", "a\\..\\b"]
)
def test_a_report_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReportInvalid, match="a name is a relative path"):
        make_run(tmp_path).log_report(name, "text")


@pytest.mark.parametrize("content", [Path("nowhere.svg"), "nowhere.svg"])
def test_a_report_from_a_missing_file_is_an_error_and_not_a_report(tmp_path: Path, content: Path | str) -> None:
    run = make_run(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"report 'roc.svg': there is no file nowhere.svg"):
        run.log_report("roc.svg", content)
    assert not list((tmp_path / "reports").iterdir())


def test_a_report_of_another_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportInvalid, match="not a dict"):
        make_run(tmp_path).log_report("a.json", {"a": 1})  # type: ignore[arg-type]


def test_metrics_on_disk_are_never_half_written(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.log_metric("a", 1)
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"a": 1.0}
    assert not list(tmp_path.glob(".*draft"))


def test_lines_for_the_log_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path)
    run.info("hello")
    run.log_metric("roc_auc", 0.99468)
    assert capsys.readouterr().out == "hello\nmetric roc_auc = 0.99468\n"
