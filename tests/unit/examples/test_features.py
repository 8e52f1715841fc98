"""examples/06-features and examples/07-scheduled-retraining, as far as they run without a cluster."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from typer.testing import CliRunner

from slipway.api.model_build import ModelBuild
from slipway.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"
OPERATOR = EXAMPLES.parent / "operator"
FEATURES, RETRAINING = EXAMPLES / "06-features", EXAMPLES / "07-scheduled-retraining"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPWAY_REGISTRY", f"file://{tmp_path}/registry")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return tmp_path


def slipway(line: str) -> str:
    words = shlex.split(line)[1:]
    if words[0] == "train":  # the code is a module named train, which one process imports once
        command = [sys.executable, "-m", "slipway.cli", *words]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": str(OPERATOR)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
    result = CliRunner().invoke(app, words, prog_name="slipway")
    assert result.exit_code == 0, f"{line}: {result.output}"
    return result.output


def test_the_leak_looks_better_as_the_page_says(folder: Path) -> None:
    for name in ("views.yaml", "train.py"):
        shutil.copy(FEATURES / name, folder)
    module(FEATURES / "make_data.py").write(folder / "data")
    page = (FEATURES / "README.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("slipway ") and "lineage" not in line]
    assert len(lines) == 13
    found = []
    for line in lines:
        said = slipway(line)
        found += re.findall(r"metric roc_auc = ([0-9.]+)", said)
    leaky, honest = map(float, found)
    shown = re.search(r"a ROC AUC of (0[.][0-9]+) beside (0[.][0-9]+)", page)
    assert shown is not None
    assert (f"{leaky:.2f}", f"{honest:.2f}") == shown.groups()
    assert "churn-train:2: 900 rows" in said
    (row,) = json.loads(slipway("slipway features get visits --entity customer=7 -o json"))
    assert row["pages"] > 0, "what the page asks for is there"


def test_a_day_more_is_another_input_and_a_model_that_holds_its_gate(folder: Path) -> None:
    shutil.copy(RETRAINING / "train.py", folder)
    day = module(RETRAINING / "day.py")
    for number in day.days("1-28"):
        day.write(folder / "data", number)
    said = slipway("slipway train train:main -i days=data")
    score = re.search(r"metric r2 = ([0-9.]+)", said)
    assert score is not None
    assert float(score[1]) > 0.8
    assert "metric days = 28" in said


@pytest.mark.parametrize("example", [FEATURES, RETRAINING], ids=lambda folder: folder.name)
def test_the_manifests_are_what_the_operator_takes(example: Path) -> None:
    build = ModelBuild.model_validate(yaml.safe_load((example / "modelbuild.yaml").read_text()))
    (generated,) = yaml.safe_load((example / "kustomization.yaml").read_text())["configMapGenerator"]
    assert build.spec.source.config_map is not None
    assert build.spec.source.config_map.name == generated["name"]
    assert build.spec.triggers is not None and build.spec.triggers.on_input_change
