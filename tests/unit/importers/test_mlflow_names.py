"""MLflow's names, numbers and flavours in ours."""

from __future__ import annotations

import pytest

from slipway.importers import mlflow_names as names
from slipway.importers.errors import ImportFailed
from slipway.registry.names import ModelName


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("fraud", "fraud"),
        ("Fraud Model", "fraud-model"),
        ("team.fraud_v2", "team.fraud-v2"),
        ("  Über/Modell  ", "ber-modell"),
        ("x" * 60, "x" * 60),
    ],
)
def test_models_get_names_that_can_be_had_here(theirs: str, ours: str) -> None:
    assert names.model_name(theirs, "default") == ModelName("default", ours)


@pytest.mark.parametrize("theirs", ["", "___", "日本", "a..b"])
def test_a_name_of_which_nothing_is_left_is_said(theirs: str) -> None:
    with pytest.raises(ImportFailed, match="--name"):
        names.model_name(theirs, "default")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("champion", "champion"), ("Champion", "champion"), ("prod_eu", "prod-eu"), ("latest", None), ("v3", None), ("7", None)],
)
def test_aliases(theirs: str, ours: str | None) -> None:
    assert names.alias_name(theirs) == ours


@pytest.mark.parametrize(
    ("text", "value"),
    [("4", 4), ("0.3", 0.3), ("1e-3", 0.001), ("True", True), ("false", False), ("lbfgs", "lbfgs"), ("nan", "nan"), ("007", 7.0)],
)
def test_parameters_are_told_from_their_text(text: str, value: object) -> None:
    assert names.scalar(text) == value
    assert type(names.scalar(text)) is type(value)


def test_metrics_that_are_no_numbers_stay_away() -> None:
    run = {"data": {"metrics": [{"key": "a", "value": 0.5}, {"key": "b", "value": "NaN"}, {"key": "c", "value": "Infinity"}]}}
    assert names.metrics(run) == {"a": 0.5}
    assert names.metrics({}) == {}


@pytest.mark.parametrize(
    ("paths", "flavours", "wanted"),
    [
        (["MLmodel", "conda.yaml", "model.onnx"], {"onnx": {"data": "model.onnx"}}, ("model.onnx",)),
        (["MLmodel", "model.onnx", "model.onnx.data"], {"onnx": {"data": "model.onnx"}}, ("model.onnx", "model.onnx.data")),
        (["MLmodel", "data/model.onnx", "data/w0"], {"onnx": {"data": "data/model.onnx"}}, ("data/model.onnx", "data/w0")),
        (["MLmodel", "model.skops", "x.txt"], {"sklearn": {"pickled_model": "model.skops"}}, ("model.skops",)),
        (["MLmodel", "a", "b"], {}, ("a", "b")),
    ],
)
def test_which_files_are_the_model(paths: list[str], flavours: dict[str, object], wanted: tuple[str, ...]) -> None:
    assert names.wanted_files(paths, {"flavors": flavours}) == wanted


def test_the_same_version_has_the_same_identity_and_another_has_not() -> None:
    model = ModelName("default", "fraud")
    one = {"name": "fraud", "version": "1", "run_id": "r", "creation_timestamp": 5}
    assert names.identity(model, one) == names.identity(model, dict(one))
    assert names.identity(model, one) != names.identity(model, {**one, "version": "2"})
