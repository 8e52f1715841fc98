"""docs/feast.md, as a user follows it: `slipway import feast` on a repository that Feast itself made (feast_demo/record.py)."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner, Result

from slipway.cli.main import app
from slipway.features import FeatureStore
from slipway.storage import ObjectStore
from tests.fakes.store_fixtures import s3_store, seaweed
from tests.fakes.stores import Weed

__all__ = ["s3_store", "seaweed"]

DEMO = Path(__file__).parent / "feast_demo"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "feast.md"
FEATURES = ("conv_rate", "acc_rate", "avg_daily_trips")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPWAY_REGISTRY", f"file://{tmp_path}/registry")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    shutil.copytree(DEMO, tmp_path / "feature_repo")
    shutil.copy(DEMO / "drivers.parquet", tmp_path)
    return tmp_path


def slipway(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), prog_name="slipway")


def imported(*words: str) -> dict[str, dict[str, object]]:
    result = slipway("import", "feast", "feature_repo", *words, "-o", "json")
    assert result.exit_code == 0, result.output
    return {one["feast"]: one for one in json.loads(result.stdout)["views"]}


def test_the_page_moves_a_repository_over_and_every_row_is_feast_s(folder: Path) -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("slipway ")]
    assert len(lines) == 4
    said = ""
    for line in lines:
        result = slipway(*shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
        said += result.output
    shown = re.search(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    for line in shown.group(1).splitlines():
        assert line in said
    table = pq.read_table("training.parquet")
    columns = ["driver_id", "event_timestamp", "trip_completed", *(f"driver_hourly_stats__{name}" for name in FEATURES)]
    assert set(columns) <= set(table.column_names)
    ours = sorted(table.select(columns).to_pylist(), key=lambda row: (row["driver_id"], row["event_timestamp"]))
    theirs = json.loads((DEMO / "feast_answers.json").read_text())
    assert len(ours) == len(theirs) == 63
    for mine, feast in zip(ours, theirs, strict=True):
        assert list(mine.values()) == [
            feast["driver_id"],
            datetime.fromisoformat(feast["event_timestamp"]),
            feast["trip_completed"],
            *(feast[name] for name in FEATURES),
        ]


def test_again_takes_only_what_is_new(folder: Path) -> None:
    first = imported("--view", "driver_hourly_stats")["driver_hourly_stats"]
    assert first["rows"] == {"read": 1807, "written": 1805, "repeated": 2, "withoutKeyOrTime": 0}
    again = imported("--view", "driver_hourly_stats")["driver_hourly_stats"]
    assert again["rows"]["written"] == 0  # type: ignore[index]
    path = folder / "feature_repo" / "data" / "driver_stats.parquet"
    table = pq.read_table(path)
    more = table.slice(0, 3)
    ids = pa.array([2001, 2002, None], pa.int64())
    more = more.set_column(more.schema.get_field_index("driver_id"), "driver_id", ids)
    pq.write_table(pa.concat_tables([table, more]), path)
    new = imported("--view", "driver_hourly_stats")["driver_hourly_stats"]
    assert new["rows"] == {"read": 1810, "written": 2, "repeated": 2, "withoutKeyOrTime": 1}


def test_a_dump_of_the_registry_says_the_same(folder: Path) -> None:
    file = slipway("import", "feast", "feature_repo", "--dry-run")
    (folder / "feature_repo" / "data" / "registry.db").unlink()
    dump = slipway("import", "feast", "feature_repo", "--dry-run", "--registry-file", "feature_repo/registry.json")
    assert dump.stdout == file.stdout
    first, second = yaml.safe_load_all(dump.stdout)
    assert (first["name"], second["name"]) == ("driver-hourly-stats", "driver-hourly-stats-fresh")
    assert first["ttl"] == "1d"
    assert not (folder / "registry").exists(), "a dry run writes nothing"


def test_a_repository_whose_registry_and_rows_are_in_s3(
    folder: Path, seaweed: Weed, s3_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = imported()["driver_hourly_stats"]
    monkeypatch.setenv("SLIPWAY_REGISTRY", f"file://{folder}/of-s3")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", seaweed.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    data = folder / "feature_repo" / "data"
    s3_store.put("rows/driver_stats.parquet", (data / "driver_stats.parquet").read_bytes())
    dump = (folder / "feature_repo" / "registry.json").read_text()
    assert '"data/driver_stats.parquet"' in dump
    s3_store.put("registry.json", dump.replace("data/driver_stats.parquet", f"{s3_store.uri}/rows/driver_stats.parquet").encode())
    settings = folder / "feature_repo" / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("registry: data/registry.db", f"registry: {s3_store.uri}/registry.json"))
    shutil.rmtree(data)
    found = imported()["driver_hourly_stats"]
    assert found == local
    again = imported()["driver_hourly_stats"]
    assert again["rows"]["written"] == 0, "nothing is taken twice"  # type: ignore[index]


def test_rows_without_a_time_of_creation(folder: Path) -> None:
    _without_created(folder)
    told = imported("--view", "driver_hourly_stats", "--name", "driver_hourly_stats=noted")["driver_hourly_stats"]
    assert any("--known-at-event" in note for note in told["notes"])  # type: ignore[union-attr, attr-defined]
    imported("--view", "driver_hourly_stats", "--known-at-event")
    store = FeatureStore.open(f"file://{folder}/registry")
    drivers = pq.read_table("drivers.parquet")
    answers = {}
    for view in ("noted", "driver-hourly-stats"):
        with store.training_set(drivers, [f"{view}:conv_rate"], time="event_timestamp", as_of="EntityTime") as made:
            answers[view] = made.to_arrow()["conv_rate"].null_count
    assert answers["noted"] == 63, "known since the import only"
    assert answers["driver-hourly-stats"] == 0


def _without_created(folder: Path) -> None:
    path = folder / "feature_repo" / "registry.json"
    registry = json.loads(path.read_text())
    for view in registry["featureViews"]:
        source = view["spec"]["batchSource"]
        source.pop("createdTimestampColumn")
        source["fieldMapping"] = {"conv_rate": "conv_rate"}
    path.write_text(json.dumps(registry))
    settings = folder / "feature_repo" / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("data/registry.db", "registry.json"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["."], "is no Feast repository: there is no feature_store.yaml; perhaps feature_repo?"),
        (["feature_repo", "--view", "drivers"], "there is no view drivers: there are driver_hourly_stats, "),
        (["feature_repo", "--registry-file", "drivers.parquet"], "is no Feast registry"),
        (["feature_repo", "--registry-file", "none.db"], "there is no registry at none.db: run `feast apply`"),
        (["feature_repo", "--name", "driver_hourly_stats_fresh=driver-hourly-stats"], "give one of them another name"),
    ],
)
def test_what_cannot_be_read_is_told(folder: Path, words: list[str], message: str) -> None:
    result = slipway("import", "feast", *words)
    assert result.exit_code != 0
    assert message in result.output


def test_a_registry_in_a_database_names_the_way_out(folder: Path) -> None:
    settings = folder / "feature_repo" / "feature_store.yaml"
    given = yaml.safe_load(settings.read_text()) | {
        "registry": {"registry_type": "sql", "path": "postgresql://me:secret@db/feast"}
    }
    settings.write_text(yaml.safe_dump(given))
    result = slipway("import", "feast", "feature_repo")
    assert "feast registry-dump > registry.json" in result.output
    assert "secret" not in result.output


def test_a_file_that_is_gone_fails_that_view_alone(folder: Path) -> None:
    registry = json.loads((folder / "feature_repo" / "registry.json").read_text())
    registry["featureViews"][0]["spec"]["batchSource"]["fileOptions"]["uri"] = "data/gone.parquet"
    (folder / "feature_repo" / "registry.json").write_text(json.dumps(registry))
    result = slipway("import", "feast", "feature_repo", "--registry-file", "feature_repo/registry.json")
    assert result.exit_code == 1
    assert "there is no Parquet file at feature_repo/data/gone.parquet" in result.output
    assert "1 of 5 views, 1,805 rows" in result.output
