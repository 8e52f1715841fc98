"""What the model server holds its traffic against, when a build was trained on features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression

from slipway.registry.records import FeatureRecord, InputRecord, Signature, TensorSpec
from slipway.training.collect import LocalFile, Results, read_model
from slipway.training.feature_reference import with_feature_reference
from slipway.training.reference import FILE, read_reference
from tests.unit.training.support import make_run, output_of

ROWS = 6000
PAGES = np.arange(ROWS) % 500
CLICKS = np.linspace(0, 1, ROWS)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs" / "train"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"user": np.arange(ROWS), "clicks": CLICKS, "pages": PAGES}), folder / "data.parquet")
    return folder.parent


def record(**changes: Any) -> InputRecord:
    known = {
        "name": "train",
        "uri": "features://team/visits",
        "digest": "sha256:" + "1" * 64,
        "size": 1,
        "rows": ROWS,
        "features": FeatureRecord(as_of="Latest", views=()),
    }
    return InputRecord(**{**known, **changes})


def trained(folder: Path, shown: int, scale: float = 1.0) -> Results:
    """A model whose code showed the first rows to save_model."""
    import pandas as pd

    X = pd.DataFrame({"pages": PAGES * scale, "clicks": CLICKS * scale}).astype("float64")
    make_run(folder).save_model(LinearRegression().fit(X, CLICKS), X=X.head(shown))
    return read_model(output_of(folder), ())


def reference(results: Results) -> Any:
    (file,) = [file for file in results.model if file.name == FILE]
    return read_reference(file.path.read_bytes())


def test_a_few_rows_are_no_reference(inputs: Path, tmp_path: Path) -> None:
    results = with_feature_reference(trained(tmp_path / "out", 5), [record()], inputs, tmp_path / "out" / "model")
    found = reference(results)
    assert found.rows == ROWS
    assert [feature.name for feature in found.inputs] == ["pages", "clicks"]
    pages = found.inputs[0]
    assert (pages.low, pages.high) == (0, 499)
    assert sum(pages.counts) == ROWS
    assert pages.at == 0
    assert found.outputs, "what the model answered stays"


@pytest.mark.parametrize(("shown", "scale"), [(4000, 1.0), (5, -1.0)], ids=["enough rows", "scaled by the code"])
def test_what_the_code_showed_stays(inputs: Path, tmp_path: Path, shown: int, scale: float) -> None:
    results = trained(tmp_path / "out", shown, scale)
    assert with_feature_reference(results, [record()], inputs, tmp_path / "out" / "model") is results
    assert reference(results).rows == shown


def test_a_model_file_of_another_library_gets_one(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"")
    signature = Signature(inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),), columns=("pages", "clicks"))
    results = Results((LocalFile(tmp_path / "model.onnx", "model.onnx", "a/b"),), "onnx", signature, None)
    found = reference(with_feature_reference(results, [record()], inputs, tmp_path))
    assert [(feature.name, feature.tensor, feature.at) for feature in found.inputs] == [("pages", "x", 0), ("clicks", "x", 1)]
    assert json.loads((tmp_path / FILE).read_text())["rows"] == ROWS
    other = Results(results.model, "onnx", signature.model_copy(update={"columns": ("pages", "age")}), None)
    assert with_feature_reference(other, [record()], inputs, tmp_path) is other
    assert with_feature_reference(results, [record(features=None)], inputs, tmp_path) is results
