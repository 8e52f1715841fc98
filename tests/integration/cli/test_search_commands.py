"""``slipway search``, ``lineage``, ``diff`` and ``index`` as a person and as a script use them."""

from __future__ import annotations

import json

import pytest

from slipway.registry.records import InputRecord
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import Cli, register


def test_search_finds_in_the_namespace_and_beyond(cli: Cli, registry: Registry) -> None:
    for seed in range(3):
        register(registry, seed=seed)
    register(registry, "team/other", seed=9)
    result = cli("search", "metrics.roc_auc > 0.9905 and params.C < 1", "-o", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [(hit["model"], hit["version"]) for hit in found] == [("default/bc", 3), ("default/bc", 2)]
    assert found[0]["metrics"] == {"roc_auc": 0.992, "accuracy": 0.95}
    assert cli("search", "-A", "--order-by", "-metrics.roc_auc", "-o", "name").stdout.splitlines()[0] == "team/other:1"
    assert cli("search", "params.solver like 'LB%'", "--model", "team/other", "-o", "name").stdout == "team/other:1\n"
    first = cli("search", "--limit", "2", "--order-by", "version")
    assert "default/bc:2" in first.stdout
    assert "2 of 3 that match; --offset 2 shows the next." in first.stderr
    assert "default/bc:3" in cli("search", "--limit", "2", "--offset", "2", "--order-by", "version").stdout
    nothing = cli("search", "metrics.roc_auc > 2")
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "No version matches.\n")


@pytest.mark.parametrize("expression", ["metrics.auc >", "auc > 1", "version = 1; drop table", "metrics.auc > high"])
def test_a_wrong_expression_is_wrong_usage_and_shows_the_place(cli: Cli, expression: str) -> None:
    result = cli("search", expression)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: position ")
    assert result.stderr.count("\n") == 1


def test_index_update_and_rebuild_say_what_they_did(cli: Cli, registry: Registry) -> None:
    register(registry)
    assert json.loads(cli("index", "update", "-o", "json").stdout)["added"] == 1
    assert json.loads(cli("index", "update", "-o", "json").stdout)["added"] == 0
    assert "1 versions of 1 models" in cli("index", "rebuild").stdout


def test_lineage_as_a_tree_and_as_a_graph(cli: Cli, registry: Registry) -> None:
    data = InputRecord(name="train", uri="s3://data/train.parquet", digest="sha256:" + "d" * 64, size=1, rows=569)
    register(registry, inputs=(data,))
    registry.pin("ModelDeployment", "default", "bc-live", versions=["default/bc:1"])
    lines = cli("lineage", "bc:1").stdout.splitlines()
    assert any("↑ data" in line and "s3://data/train.parquet" in line and "rows 569" in line for line in lines)
    assert any("↓ deployment" in line and "default/bc-live" in line for line in lines)
    graph = json.loads(cli("lineage", "bc", "-o", "json").stdout)
    ids = {node["id"] for node in graph["nodes"]}
    assert graph["root"] in ids
    assert all({edge["from"], edge["to"]} <= ids for edge in graph["edges"])
    missing = cli("lineage", "bcc")
    assert missing.exit_code == 3
    assert "Did you mean default/bc?" in missing.stderr


def test_diff_shows_what_changed_and_by_how_much(cli: Cli, registry: Registry) -> None:
    register(registry, seed=0)
    register(registry, seed=5)
    changes = json.loads(cli("diff", "bc:1", "bc:2", "-o", "json").stdout)["changes"]
    (auc,) = [change for change in changes if change["name"] == "roc_auc" and change["section"] == "metrics"]
    assert auc["delta"] == pytest.approx(0.005)
    assert "+0.005" in cli("diff", "bc:1", "bc:2").stdout
    assert "do not differ" in cli("diff", "bc:1", "bc:1").stdout


def test_gc_says_what_and_why_and_deletes_nothing_young(cli: Cli, registry: Registry) -> None:
    for seed in range(3):
        register(registry, seed=seed)
    planned = json.loads(cli("gc", "--dry-run", "--retain", "bc=1", "-o", "json").stdout)
    assert [(item["action"], item["name"]) for item in planned["items"]] == [
        ("retire", "default/bc:1"),
        ("retire", "default/bc:2"),
    ]
    assert "no alias or pin names it" in planned["items"][0]["why"]
    assert registry.retired("default/bc", 1) is None
    result = cli("gc", "--retain", "bc=1")
    assert "retire" in result.stdout
    assert registry.retired("default/bc", 1) is not None
    refused = cli("alias", "set", "bc@champion", "1")
    assert refused.exit_code == 3
    assert "slipway model restore default/bc:1" in refused.stderr
    assert cli("model", "restore", "bc:1").stdout == "default/bc:1 is back\n"
    assert cli("alias", "set", "bc@champion", "1").exit_code == 0
    assert cli("gc", "--retain", "bc=none").exit_code == 2
    assert cli("gc", "--grace-hours", "1").exit_code == 2
