"""examples/01-breast-cancer, as far as it runs without a cluster."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import numpy as np
import pandas as pd
import pytest
import yaml
from botocore.exceptions import ClientError

from slipway.api.app_build import AppBuild
from slipway.api.model_build import ModelBuild
from slipway.api.model_deployment import ModelDeployment
from slipway.training.local import run_locally

FOLDER = Path(__file__).parents[3] / "examples" / "01-breast-cancer"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"breast_cancer_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    module("prepare_data").write(folder)
    return folder


def test_the_data_are_split_without_overlap_and_the_same_each_time(data: Path, tmp_path: Path) -> None:
    train, held_out = pd.read_parquet(data / "train.parquet"), pd.read_parquet(data / "heldout.parquet")
    assert (len(train), len(held_out)) == (455, 114)
    assert len(pd.concat([train, held_out]).drop_duplicates()) == 569
    again = module("prepare_data").write(tmp_path)
    assert all(path.read_bytes() == (data / path.name).read_bytes() for path in again)


def test_training_reaches_its_own_gates_and_keeps_model_and_report(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    build = ModelBuild.model_validate(
        {"metadata": {"namespace": "demo", "generation": 1, "uid": "u"}} | manifest("modelbuild.yaml")
    )
    trainer = build.spec.trainer
    given = {entry.name: data / f"{entry.name}.parquet" for entry in build.spec.inputs}
    result = run_locally(trainer.entrypoint or "", params=trainer.params, inputs=given, output=tmp_path, source=FOLDER)
    assert result.format == "onnx"
    gates = manifest("modelbuild.yaml")["spec"]["evaluation"]["gates"]
    assert all(result.metrics[gate["metric"]] >= gate.get("min", 0) for gate in gates)
    assert [entry.path for entry in result.reports] == ["report.html"]
    page = (tmp_path / "reports" / "report.html").read_text()
    assert "polyline" in page and "http" not in page, "the report shows a curve and loads nothing"


def test_every_manifest_is_one_of_the_three_kinds_and_refers_to_what_is_there() -> None:
    known = {"ModelBuild": ModelBuild, "AppBuild": AppBuild, "ModelDeployment": ModelDeployment}
    generated = {entry["name"]: entry["files"] for entry in manifest("kustomization.yaml")["configMapGenerator"]}
    for name in manifest("kustomization.yaml")["resources"]:
        found = manifest(name)
        known[found["kind"]].model_validate(found | {"metadata": {"name": "n", "namespace": "demo", "generation": 1, "uid": "u"}})
        source = found["spec"].get("source", {}).get("configMap", {}).get("name")
        assert source is None or all((FOLDER / file).is_file() for file in generated[source])


def test_the_application_adds_words_to_the_models_numbers() -> None:
    outputs = {"label": np.array([1, 0]), "probabilities": np.array([[0.01, 0.99], [0.6, 0.4]])}
    answer = module("app").Service().postprocess(outputs)
    assert answer["diagnosis"] == ["benign", "malignant"]
    assert answer["needs_review"].tolist() == [False, True]
    assert answer["label"] is outputs["label"]


class Bucket:
    """What `upload` asks of S3, with one object in it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes = 0

    def head_bucket(self, **_: str) -> None:
        return

    def head_object(self, *, Key: str, IfMatch: str, **_: str) -> None:
        prepare = module("prepare_data")
        found = self.objects.get(Key)
        if found is None:
            raise refusal(404)
        if prepare.hashlib.md5(found).hexdigest() != IfMatch.strip('"'):
            raise refusal(412)

    def put_object(self, *, Key: str, Body: bytes, **_: str) -> None:
        self.objects[Key] = Body
        self.writes += 1


def refusal(status: int) -> ClientError:
    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {"Code": str(status)}}, "HeadObject")


def test_a_second_upload_writes_only_what_changed(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    monkeypatch.setattr(boto3, "client", lambda _name: bucket)
    prepare = module("prepare_data")
    files = [data / "train.parquet", data / "heldout.parquet"]
    prepare.upload(files, "s3://data/breast-cancer/")
    assert sorted(bucket.objects) == ["breast-cancer/heldout.parquet", "breast-cancer/train.parquet"]
    prepare.upload(files, "s3://data/breast-cancer/")
    assert bucket.writes == 2
    changed = tmp_path / "train.parquet"
    changed.write_bytes(b"other")
    prepare.upload([changed, files[1]], "s3://data/breast-cancer/")
    assert bucket.writes == 3
