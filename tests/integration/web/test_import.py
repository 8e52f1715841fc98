"""``slipway import mlflow`` from a real MLflow server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from slipway.cli.main import app
from slipway.registry.registry import Registry

FILL = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow, onnx
from mlflow import MlflowClient
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()

def network(bias):
    x = helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None, 2])
    one = helper.make_tensor("b", TensorProto.FLOAT, [1], [bias])
    graph = helper.make_graph([helper.make_node("Add", ["X", "b"], ["Y"])], "g", [x], [y], [one])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

for number in (1, 2):
    with mlflow.start_run():
        mlflow.log_metric("auc", 0.9 + number / 100)
        mlflow.log_params({"C": 0.3, "depth": 4, "solver": "lbfgs", "balanced": True})
        # named, as MLflow finds requirements out by loading the model in a process of its own, which takes ten seconds each time
        mlflow.onnx.log_model(
            network(float(number)), name="model", registered_model_name="Fraud Model", pip_requirements=["onnx", "onnxruntime"]
        )
client.set_registered_model_alias("Fraud Model", "Champion", "2")
client.set_model_version_tag("Fraud Model", "2", "team", "risk")
estimator = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
with mlflow.start_run():
    mlflow.sklearn.log_model(estimator, name="model", registered_model_name="pickled", serialization_format="pickle", pip_requirements=["scikit-learn"])
"""


@pytest.fixture(scope="module")
def server(mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server with two models: one ONNX with two versions, one a pickle."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "HOME": str(folder),
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
    }
    environment.pop("PYTHONPATH", None)
    words = [str(mlflow), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/db.sqlite", "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*words, *stores], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 180
        while True:
            try:
                if httpx.get(f"{address}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-2000:]
            time.sleep(0.3)
        done = subprocess.run(
            [str(mlflow), "-c", FILL, address], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


@pytest.fixture
def empty(tmp_path: Path) -> Registry:
    return Registry.open(f"file://{tmp_path}/registry")


def run(registry: Registry, *words: str) -> Result:
    environment = {"SLIPWAY_REGISTRY": registry.store.uri, "KUBECONFIG": "/nonexistent"}
    result = CliRunner().invoke(app, ["import", "mlflow", *words], env=environment, prog_name="slipway")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_models_versions_and_aliases_come_over(server: str, empty: Registry) -> None:
    done = run(empty, server, "-o", "json")
    assert done.exit_code == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    taken = {(one["name"], one["number"]): one["version"] for one in answer["versions"]}
    assert taken == {("Fraud Model", "1"): 1, ("Fraud Model", "2"): 2, ("pickled", "1"): None}
    assert answer["aliases"] == {"default/fraud-model@champion": 2}
    record = empty.resolve("default/fraud-model@champion")
    assert record.metrics == {"auc": pytest.approx(0.92)}
    assert record.params == {"C": 0.3, "depth": 4, "solver": "lbfgs", "balanced": True}
    assert record.format == "onnx"
    assert record.tags["team"] == "risk"
    assert record.signature is not None
    assert record.signature.inputs[0].shape == (-1, 2)
    assert empty.verify(record).ok
    assert {entry.path for entry in record.attestations} >= {"provenance.json", "bom.cdx.json"}


def test_importing_again_takes_nothing_twice(server: str, empty: Registry) -> None:
    run(empty, server)
    again = run(empty, server)
    assert "imported before" in again.stdout
    assert empty.latest("default/fraud-model") == 2


def test_a_pickle_is_refused_unless_it_is_let_in(server: str, empty: Registry) -> None:
    refused = run(empty, server, "--model", "pickled")
    assert refused.exit_code == 0
    assert "refused" in refused.stderr
    assert "--allow-pickle" in refused.stderr
    assert empty.latest("default/pickled") == 0
    assert run(empty, server, "--model", "pickled", "--allow-pickle").exit_code == 0
    assert empty.get("default/pickled", 1).format == "pickle"


def test_names_can_be_chosen_and_unknown_ones_are_said(server: str, empty: Registry) -> None:
    assert run(empty, server, "--model", "Fraud Model", "--name", "Fraud Model=risk/fraud").exit_code == 0
    assert empty.latest("risk/fraud") == 2
    unknown = run(empty, server, "--model", "Frod")
    assert (unknown.exit_code, "Fraud Model" in unknown.stderr) == (1, True)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "mlflow:5000", "sqlite:///db"])
def test_a_server_that_is_none_is_said_in_one_line(empty: Registry, uri: str) -> None:
    done = run(empty, uri)
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1
