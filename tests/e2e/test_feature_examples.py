"""examples/06-features and examples/07-scheduled-retraining with real pods: new features and new data start the next build, and a
model that was trained on feature views is asked by key. Both examples live at the same time, as the waits for pods and looks would
otherwise come one after the other."""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from local.demo import install
from local.demo.kubectl import Cluster, Object, is_ready
from local.demo.predictions import first_answer, service_url
from slipway.cli.main import app
from tests.e2e.conftest import DEMO_NAMESPACE
from tests.e2e.support import Chain, namespace, poll

EXAMPLES = Path(__file__).parents[2] / "examples"
FEATURES, RETRAINING = EXAMPLES / "06-features", EXAMPLES / "07-scheduled-retraining"
SNAPSHOT = "features snapshot churn-train --feature visits --feature account --as-of EntityTime --entities"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def slipway(chain: Chain, line: str) -> str:
    """A command of the pages, in the test's namespace."""
    result = CliRunner().invoke(app, [*shlex.split(line), "-n", chain.namespace], prog_name="slipway")
    assert result.exit_code == 0, f"{line}: {result.output}"
    return result.stdout


def manifests(chain: Chain, folder: Path) -> list[Object]:
    return list(yaml.safe_load_all(chain.cluster.kubectl("kustomize", str(folder))))


def until_version(chain: Chain, name: str, number: int) -> dict[str, Any]:
    return chain.until(
        "modelbuild",
        name,
        lambda found: (
            found.get("status", {}).get("version", {}).get("number") == number
            and found["status"]["version"].get("promotedTo") == "champion"
        ),
    )


def image_with_features(cluster: Cluster) -> str:
    """The training image that docs/features.md names for featureView inputs, as nodes pull it."""
    info, folder = cluster.info, "slipway-features"
    words = ["images", "build", "training", "--with", "features", "--push", f"{info.registry}/{folder}"]
    (built,) = json.loads(install.slipway(*words, "--insecure", info.registry, "-o", "json"))
    return f"{info.registry_in_cluster}/{folder}/slipway-training@{built['digest']}"


@pytest.fixture(scope="module")
def chain(cluster: Cluster) -> Iterator[Chain]:
    with namespace(cluster, copy_secret_from=DEMO_NAMESPACE) as name:
        yield Chain(cluster, name)


def joined(build: Object, labels: str, image: str) -> Object:
    """The example's build under another name, its training set joined in the pod instead of frozen before."""
    view = {"names": ["visits", "account"], "entities": {"uri": labels}, "asOf": "EntityTime"}
    spec = {key: value for key, value in build["spec"].items() if key != "triggers"}
    changed = {"inputs": [{"name": "train", "featureView": view}], "trainer": spec["trainer"] | {"image": image}}
    return {**build, "metadata": {"name": "joined"}, "spec": spec | changed}


@pytest.fixture(scope="module")
def lived(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Both examples with their first version, and all that is to start the second one. Nothing else is touched from here on."""
    folder = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chain.cluster.info.environment().items():
            patch.setenv(name, value)
        patch.setenv("SLIPWAY_REGISTRY", f"s3://{chain.cluster.info.buckets[0]}")
        patch.chdir(folder)
        day, parcels = module(RETRAINING / "day.py"), f"s3://data/{chain.namespace}/parcels/"
        day.upload([day.write(folder / "days", number) for number in day.days("1-28")], parcels)
        for manifest in manifests(chain, RETRAINING):
            if manifest["kind"] == "ModelBuild":
                manifest["spec"]["inputs"] = [{"name": "days", "s3": {"uri": parcels}}]
            chain.apply(manifest)
        example = manifests(chain, FEATURES)
        for manifest in example:
            if manifest["kind"] == "FeatureView":
                chain.apply(manifest)
        module(FEATURES / "make_data.py").write(folder / "data")
        for view in ("visits", "account"):
            chain.until("featureview", view, is_ready)
            slipway(chain, f"features ingest {view} data/{view}.parquet")
        slipway(chain, f"{SNAPSHOT} data/labels.parquet")
        labels = f"s3://data/{chain.namespace}/labels.parquet"
        day.upload([folder / "data" / "labels.parquet"], f"s3://data/{chain.namespace}/")
        for manifest in example:
            if manifest["kind"] == "ModelBuild":
                chain.apply(joined(manifest, labels, image_with_features(chain.cluster)))
            if manifest["kind"] == "ModelDeployment":
                manifest["spec"]["model"] = {
                    "name": "churn",
                    "version": 1,
                }  # the second one would be rolled out while it is asked
            if manifest["kind"] != "FeatureView":
                chain.apply(manifest)
        slipway(chain, "features ingest visits data/visits-today.parquet")
        for view in ("visits", "account"):
            slipway(chain, f"features materialize {view}")
        build = until_version(chain, "churn", 1)
        assert build["status"]["version"]["metrics"]["rows"] == "800"
        slipway(chain, "features ingest visits data/visits-next.parquet")
        slipway(chain, f"{SNAPSHOT} data/labels-next.parquet")
        build = until_version(chain, "parcels", 1)
        assert build["status"]["version"]["metrics"]["days"] == "28"
        day.upload([day.write(folder / "days", 29)], parcels)
        yield chain


def test_requests_bring_keys_and_the_server_brings_the_features(lived: Chain) -> None:
    lived.until("modeldeployment", "churn", is_ready)
    stored: dict[str, Any] = {}
    for view in ("visits", "account"):
        (row,) = json.loads(slipway(lived, f"features get {view} --entity customer=7 -o json"))
        stored |= row
    columns = {name: stored[name] for name in ("pages", "minutes", "fee", "refund")}
    with service_url(lived.cluster, "churn", lived.namespace) as url, httpx.Client(base_url=url, timeout=30) as client:
        first_answer(url, "churn")

        def ask(record: dict[str, Any]) -> httpx.Response:
            return client.post("/predict", json={"records": [record]})

        by_key, by_columns = ask({"customer": 7}), ask(columns)
        assert by_key.status_code == 200, by_key.text
        assert by_key.json()["predictions"] == by_columns.json()["predictions"]
        assert ask(columns | {"pages": 0, "minutes": 0.0}).json() != by_key.json(), "the answer depends on the features"
        unknown = ask({"customer": 9999})
        assert unknown.status_code == 422
        assert "customer=9999" in unknown.json()["error"]


def test_a_training_set_joined_in_the_pod_is_the_one_that_was_frozen(lived: Chain) -> None:
    until_version(lived, "joined", 1)
    metrics = [json.loads(slipway(lived, f"model show {model}:1 -o json"))["metrics"] for model in ("joined", "churn")]
    assert metrics[0] == metrics[1]
    shown = slipway(lived, "lineage joined:1")
    assert f"{lived.namespace}/visits revision 1" in shown
    assert "EntityTime" in shown


def test_the_view_says_what_rows_there_are_and_how_new_they_are(lived: Chain) -> None:
    ingestions = json.loads(slipway(lived, "features show visits -o json"))
    view = poll(
        "the operator has seen the last ingestion",
        lambda: (
            (found := lived.get("featureview", "visits"))
            and found["status"].get("table", {}).get("rows") == ingestions["rows"]
            and found
        ),
    )
    status = view["status"]
    assert status["revision"]["number"] == 1
    assert status["freshness"]["lastEventTime"] == ingestions["newest"]
    assert status["freshness"]["lastIngested"] > ingestions["newest"]
    assert status["quality"]["complete"] == "1.0000"


def test_a_newer_snapshot_trains_the_next_version(lived: Chain) -> None:
    build = until_version(lived, "churn", 2)
    assert build["status"]["build"]["reason"] == "InputChanged"
    assert build["status"]["version"]["metrics"]["rows"] == "900"
    for version in (1, 2):
        assert f"features://{lived.namespace}/churn-train:{version}" in slipway(lived, f"lineage churn:{version}")


def test_a_new_day_trains_the_next_version_and_the_clock_is_set(lived: Chain) -> None:
    build = until_version(lived, "parcels", 2)
    assert build["status"]["build"]["reason"] == "InputChanged"
    assert build["status"]["version"]["metrics"]["days"] == "29"
    triggers = build["status"]["triggers"]
    assert "Europe/Berlin" in triggers["schedule"]
    assert triggers["nextScheduleTime"]
