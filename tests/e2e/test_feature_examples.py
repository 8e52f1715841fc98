"""examples/06-features and examples/07-scheduled-retraining with real pods: new features and new data start the next build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from tests.e2e.support import Chain

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(chain: Chain, folder: Path, *words: str) -> str:
    """A command of the pages, on the cluster's store and in the test's namespace."""
    env = os.environ | chain.cluster.info.environment() | {"PYTHONPATH": str(ROOT / "operator")}
    env["SLIPWAY_REGISTRY"] = f"s3://{chain.cluster.info.buckets[0]}"
    done = subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def slipway(chain: Chain, folder: Path, *words: str) -> str:
    return run(chain, folder, "-m", "slipway.cli", *words, "-n", chain.namespace)


def apply(chain: Chain, folder: Path, **changes: object) -> None:
    for manifest in yaml.safe_load_all(chain.cluster.kubectl("kustomize", str(folder))):
        if manifest["kind"] == "ModelBuild":
            manifest["spec"] |= changes
        chain.apply(manifest)


def until_version(chain: Chain, name: str, number: int) -> dict[str, object]:
    return chain.until(
        "modelbuild",
        name,
        lambda found: (
            found.get("status", {}).get("version", {}).get("number") == number
            and found["status"]["version"].get("promotedTo") == "champion"
        ),
    )


def test_a_newer_snapshot_trains_the_next_version(chain: Chain, tmp_path: Path) -> None:
    run(chain, tmp_path, str(EXAMPLES / "06-features" / "make_data.py"), "--out", "data")
    shutil.copy(EXAMPLES / "06-features" / "views.yaml", tmp_path)
    slipway(chain, tmp_path, "features", "apply", "-f", "views.yaml")
    for view in ("visits", "account"):
        slipway(chain, tmp_path, "features", "ingest", view, f"data/{view}.parquet")
    features = ("--feature", "visits", "--feature", "account", "--as-of", "EntityTime")
    slipway(chain, tmp_path, "features", "snapshot", "churn-train", "--entities", "data/labels.parquet", *features)
    apply(chain, EXAMPLES / "06-features")
    build = until_version(chain, "churn", 1)
    assert build["status"]["version"]["metrics"]["rows"] == "800"  # type: ignore[index]
    lineage = slipway(chain, tmp_path, "lineage", "churn@champion")
    assert f"features://{chain.namespace}/churn-train:1" in lineage
    slipway(chain, tmp_path, "features", "ingest", "visits", "data/visits-next.parquet")
    slipway(chain, tmp_path, "features", "snapshot", "churn-train", "--entities", "data/labels-next.parquet", *features)
    build = until_version(chain, "churn", 2)
    assert build["status"]["build"]["reason"] == "InputChanged"  # type: ignore[index]
    assert build["status"]["version"]["metrics"]["rows"] == "900"  # type: ignore[index]


def test_a_new_day_trains_the_next_version_and_the_clock_is_set(chain: Chain, tmp_path: Path) -> None:
    day = str(EXAMPLES / "07-scheduled-retraining" / "day.py")
    prefix = f"s3://data/{chain.namespace}/parcels/"
    run(chain, tmp_path, day, "--days", "1-28", "--upload", prefix)
    apply(chain, EXAMPLES / "07-scheduled-retraining", inputs=[{"name": "days", "s3": {"uri": prefix}}])
    build = until_version(chain, "parcels", 1)
    triggers = build["status"]["triggers"]  # type: ignore[index]
    assert "Europe/Berlin" in triggers["schedule"]
    assert triggers["nextScheduleTime"]
    run(chain, tmp_path, day, "--days", "29", "--upload", prefix)
    build = until_version(chain, "parcels", 2)
    assert build["status"]["build"]["reason"] == "InputChanged"  # type: ignore[index]
    assert build["status"]["version"]["metrics"]["days"] == "29"  # type: ignore[index]
