"""manifests/monitoring: the rules in a real Prometheus' own test tool, and names that the metrics really have."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import debian_prometheus
from tests.chart.helm import ROOT

FOLDER = ROOT / "manifests/monitoring"
OPERATOR = {
    "leader_election_master_status",
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_reconcile_total",
    "workqueue_depth",
}


@pytest.fixture(scope="session")
def promtool() -> str:
    return debian_prometheus.program("promtool")


def test_the_rules_do_what_their_cases_say(promtool: str) -> None:
    done = subprocess.run([promtool, "test", "rules", "slipway.rules_test.yaml"], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_good_ones(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", "slipway.rules.yaml"], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_for_the_prometheus_operator_are_the_same() -> None:
    rules = yaml.safe_load((FOLDER / "slipway.rules.yaml").read_text())
    resource = yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text())
    assert resource["kind"] == "PrometheusRule"
    assert resource["spec"] == rules


def documented() -> set[str]:
    names = set(re.findall(r"`(slipway_[a-z_]+)`", (ROOT / "docs/metrics.md").read_text()))
    return names | {f"{name}_bucket" for name in names}


@pytest.mark.parametrize("path", ["slipway.rules.yaml", "dashboard.json"])
def test_only_metrics_that_there_are_are_asked_for(path: str) -> None:
    text = Path(FOLDER / path).read_text()
    named = set(re.findall(r"\b(slipway_[a-z_]+|leader_[a-z_]+|controller_runtime_[a-z_]+|workqueue_[a-z_]+)\b", text))
    recorded = {"slipway_requests_per_second"}
    assert named - documented() - OPERATOR - recorded == set()


def test_every_panel_has_a_query() -> None:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    assert dashboard["panels"]
    for panel in dashboard["panels"]:
        assert panel["targets"] and all(target["expr"] for target in panel["targets"]), panel["title"]
