"""MLflow's own client on the service: what a data scientist who has MLflow does."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.web.sample import VERSIONS

SCRIPT = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer

address = sys.argv[1]
client = MlflowClient(registry_uri=address)
said = {}
said["models"] = [model.name for model in client.search_registered_models()]
said["like"] = [model.name for model in client.search_registered_models("name LIKE '%cancer'")]
model = client.get_registered_model("breast-cancer")
said["aliases"] = dict(model.aliases)
said["latest"] = model.latest_versions[0].version
champion = client.get_model_version_by_alias("breast-cancer", "champion")
said["champion"] = [champion.version, champion.status, list(champion.aliases), champion.tags["team"]]
said["version"] = client.get_model_version("breast-cancer", "3").version
said["other namespace"] = dict(client.get_registered_model("team/churn").aliases)
said["encoded"] = client.get_model_version_by_alias("team%2Fchurn", "production").name
pages, token = [], None
while True:
    page = client.search_model_versions("name='breast-cancer'", max_results=5, page_token=token)
    pages.append([version.version for version in page])
    token = page.token
    if not token:
        break
said["pages"] = pages
said["tagged"] = len(client.search_model_versions("tags.team = 'screening' AND version_number > 10"))
said["every"] = len(client.search_model_versions())

mlflow.set_registry_uri(address)
folder = mlflow.artifacts.download_artifacts("models:/breast-cancer/12")
said["files"] = sorted(os.listdir(folder))
loaded = mlflow.pyfunc.load_model("models:/breast-cancer@champion")
data = load_breast_cancer(as_frame=True)
answer = loaded.predict(data.data)
said["columns"] = list(answer.columns)
said["accuracy"] = float((answer["label"] == data.target).mean())
said["inputs"] = len(loaded.metadata.signature.inputs.inputs)
said["onnx"] = type(mlflow.onnx.load_model("models:/breast-cancer@champion")).__name__
said["team model"] = mlflow.artifacts.download_artifacts("models:/team%2Fchurn@production") != ""

def refused(call):
    try:
        call()
    except mlflow.exceptions.MlflowException as error:
        return [error.error_code, str(error)]
    return "not refused"

said["write"] = refused(lambda: client.set_registered_model_alias("breast-cancer", "champion", "1"))
said["unknown model"] = refused(lambda: client.get_registered_model("breast-cancr"))
said["unknown alias"] = refused(lambda: client.get_model_version_by_alias("breast-cancer", "winner"))
said["bad filter"] = refused(lambda: client.search_model_versions("nonsense ~ 3"))
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(service: str, mlflow: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one script with MLflow's client found out."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "GIT_PYTHON_REFRESH": "quiet", "HOME": str(folder)}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(mlflow), "script.py", service], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_models_are_listed_and_found(said: dict[str, Any]) -> None:
    assert said["models"] == ["breast-cancer", "team/churn", "wine-quality"]
    assert said["like"] == ["breast-cancer"]
    assert said["aliases"] == {"challenger": str(VERSIONS), "champion": "12"}
    assert said["latest"] == str(VERSIONS)


def test_versions_are_had_by_number_and_by_alias(said: dict[str, Any]) -> None:
    assert said["champion"] == ["12", "READY", ["champion"], "screening"]
    assert said["version"] == "3"


def test_models_of_other_namespaces_have_their_namespace_in_the_name(said: dict[str, Any]) -> None:
    assert said["other namespace"] == {"production": "1"}
    assert said["encoded"] == "team/churn"
    assert said["team model"]


def test_versions_are_searched_in_pages(said: dict[str, Any]) -> None:
    assert said["pages"] == [["14", "13", "12", "11", "10"], ["9", "8", "7", "6", "5"], ["4", "3", "2", "1"]]
    assert said["tagged"] == 4
    assert said["every"] == VERSIONS + 2


def test_a_model_is_loaded_and_answers(said: dict[str, Any]) -> None:
    assert {"MLmodel", "model.onnx", "requirements.txt"} <= set(said["files"])
    assert said["columns"] == ["label", "probabilities_0", "probabilities_1"]
    assert said["accuracy"] > 0.97
    assert said["inputs"] == 30
    assert said["onnx"] == "ModelProto"


def test_refusals_are_mlflows_own_errors(said: dict[str, Any]) -> None:
    assert said["write"][0] == "PERMISSION_DENIED"
    assert "only reads" in said["write"][1]
    assert said["unknown model"][0] == "RESOURCE_DOES_NOT_EXIST"
    assert said["unknown alias"][0] == "RESOURCE_DOES_NOT_EXIST"
    assert said["bad filter"][0] == "INVALID_PARAMETER_VALUE"
