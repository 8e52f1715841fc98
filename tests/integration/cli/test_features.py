"""The commands of docs/features.md, as a user types them, on a folder."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from slipway.cli.main import app

PAGE = Path(__file__).resolve().parents[3] / "docs" / "features.md"
DAYS = [datetime(2026, 3, day, tzinfo=UTC) for day in range(1, 9)]
TIME = pa.timestamp("us", "UTC")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page speaks of: the view, a batch, labels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPWAY_REGISTRY", f"file://{tmp_path}/registry")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    text = PAGE.read_text()
    view = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert view is not None
    (tmp_path / "visits.yaml").write_text(view.group(1))
    batch = {
        "user": [1, 1],
        "happened": pa.array([DAYS[0], DAYS[3]], TIME),
        "known": pa.array([DAYS[1], DAYS[6]], TIME),
        "pages": [10, 30],
    }
    pq.write_table(pa.table(batch), tmp_path / "monday.parquet")
    labels = {"user": [1, 1, 1], "event_time": pa.array([DAYS[2], DAYS[4], DAYS[7]], TIME), "churned": [False, True, True]}
    pq.write_table(pa.table(labels), tmp_path / "labels.parquet")
    return tmp_path


def slipway(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="slipway")


def test_the_page_s_commands_do_what_it_draws(folder: Path) -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("slipway features ")]
    assert len(lines) == 6
    said = {}
    for line in lines:
        words = shlex.split(line)[1:]
        result = slipway(*words)
        assert result.exit_code == 0, f"{line}: {result.output}"
        said[words[1]] = result.output
    assert "visits revision 1" in said["apply"]
    assert "2 rows written" in said["ingest"]
    assert "default/churn:1: 3 rows" in said["snapshot"]
    again = slipway("features", "snapshot", "churn", "--entities", "labels.parquet", "--feature", "visits", "--as-of", "EntityTime",
                    "--out", "set.parquet", "-o", "json")  # fmt: skip
    record = json.loads(again.stdout)
    assert (record["number"], record["changed"]) == (1, False)
    assert pq.read_table(folder / "set.parquet")["pages"].to_pylist() == [10, 10, 30], "as images/point-in-time.svg draws it"


def test_answers_for_scripts(folder: Path) -> None:
    applied = slipway("features", "apply", "-f", "visits.yaml", "-o", "json")
    assert json.loads(applied.stdout)[0]["changed"] is True
    assert slipway("features", "list", "-o", "name").stdout == "default/visits\n"
    assert json.loads(slipway("features", "ingest", "visits", "monday.parquet", "-o", "json").stdout)["rows"] == 2
    shown = json.loads(slipway("features", "show", "visits", "-o", "json").stdout)
    assert (shown["rows"], shown["newest"]) == (2, "2026-03-04T00:00:00Z")
    assert json.loads(slipway("features", "get", "visits", "--at", "2026-03-05T00:00Z", "-o", "json").stdout)[0]["pages"] == 10


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["features", "show", "visit"], 3, "no feature view default/visit"),
        (["features", "ingest", "visits", "nothing.parquet"], 3, "there is no such file"),
        (["features", "ingest", "visits", "visits.yaml"], 2, ".parquet, .csv"),
        (["features", "apply", "-f", "bad.yaml"], 1, "features[0].typ: there is no such field"),
        (
            ["features", "snapshot", "churn", "--entities", "labels.parquet", "--feature", "visits:page"],
            1,
            "has no feature 'page'",
        ),
        (["features", "get", "visits", "--at", "yesterday"], 2, "not a time"),
    ],
)
def test_an_error_is_one_line_that_names_the_fix(folder: Path, words: list[str], code: int, message: str) -> None:
    slipway("features", "apply", "-f", "visits.yaml")
    (folder / "bad.yaml").write_text("name: x\nentities: [{name: k}]\nfeatures: [{name: f, typ: int64}]\n")
    result = slipway(*words)
    assert result.exit_code == code, result.output
    assert message in result.output
    assert len(result.stderr.strip().splitlines()) == 1


def test_online_reads_as_they_are_typed(folder: Path) -> None:
    view = "name: carts\nentities: [{name: user}, {name: shop, type: string}]\nfeatures: [{name: pages, type: int64}]\n"
    (folder / "carts.yaml").write_text(view)
    batch = {"user": [7, 8], "shop": ["a", "b"], "event_time": pa.array(DAYS[:2], TIME), "pages": [1, 2]}
    pq.write_table(pa.table(batch), folder / "carts.parquet")
    for words in (["apply", "-f", "carts.yaml"], ["ingest", "carts", "carts.parquet"]):
        assert slipway("features", *words).exit_code == 0
    assert "never materialised there" in slipway("features", "get", "carts", "--entity", "user=7", "--entity", "shop=a").stderr
    done = slipway("features", "materialize", "carts", "--to", "2026-03-01T12:00Z")
    assert "default/carts revision 1: 0 rows, table version 1, to 2026-03-01T12:00:00Z (from the beginning)" in done.output
    done = slipway("features", "materialize", "carts", "-o", "json")
    assert (json.loads(done.output)["rows"], json.loads(done.output)["whole"]) == (
        2,
        False,
    )  # ingested, so known, after that time
    asked = ["--entity", "user=7", "--entity", "shop=a", "--entity", "user=8", "--entity", "shop=b"]
    done = slipway("features", "get", "carts", *asked, "-o", "json")
    assert [row["pages"] for row in json.loads(done.output)] == [1, 2]
    assert json.loads(done.output)[0] == {"user": 7, "shop": "a", "event_time": "2026-03-01T00:00:00Z", "pages": 1}
    for words, code, message in (
        (["get", "carts", "--entity", "user=7", "--entity", "shop=z"], 3, "1 of 1 entities have no features there"),
        (["get", "carts", "--entity", "user=x"], 2, "'x' is not of type int64"),
        (["get", "carts", "--entity", "usr=7"], 2, "carts has the keys user, shop"),
        (["get", "carts", "--entity", "user=7"], 2, "shop is missing beside user=7"),
        (["materialize", "carts", "--to", "2026-01-01T00:00Z"], 1, "does not go back"),
        (["materialize", "carts", "--store", "http://:hush@x"], 1, "write redis://host:6379/0"),
    ):
        result = slipway("features", *words)
        assert result.exit_code == code, result.output
        assert message in result.stderr and "hush" not in result.output + result.stderr
