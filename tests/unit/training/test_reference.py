"""What is kept of the training data, for the server to tell drift by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from slipway.registry.records import Signature, TensorSpec
from slipway.training.reference import FILE, MAX_FEATURES, Reference, build_reference, number_edges, read_reference
from tests.unit.training.support import make_run
from tests.unit.training.test_save_model import mixed_pipeline, people


def one_column(values: object) -> Reference:
    array = np.asarray(values).reshape(-1, 1)
    kind = "BYTES" if array.dtype.kind in "OU" else "FP64"
    signature = Signature(inputs=(TensorSpec(name="x", datatype=kind, shape=(-1, 1)),))
    return build_reference(signature, {"x": array}, {}, frozenset())


def test_a_saved_model_has_its_reference_beside_it(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    saved = make_run(tmp_path).save_model(GaussianNB().fit(X, y), X=X)
    reference = read_reference((saved.path.parent / FILE).read_bytes())
    assert [feature.name for feature in reference.inputs] == list(X.columns)
    assert reference.rows == len(X)
    label = next(feature for feature in reference.outputs if feature.name == "label")
    assert label.categories == ("0", "1")
    assert sum(label.counts) == len(X)
    assert all(sum(feature.counts) == len(X) for feature in reference.inputs)
    radius = reference.inputs[0]
    assert (radius.low, radius.high) == (X["mean radius"].min(), X["mean radius"].max())
    assert min(radius.counts[:-1]) > len(X) / 20, "deciles hold about a tenth each"


def test_columns_of_text_and_numbers_each_have_their_own(tmp_path: Path) -> None:
    X, y = people()
    saved = make_run(tmp_path).save_model(mixed_pipeline().fit(X, y), X=X)
    reference = read_reference((saved.path.parent / FILE).read_bytes())
    by_name = {feature.name: feature for feature in reference.inputs}
    assert by_name["city"].categories == ("Bonn", "Kyoto", "Lima")
    assert by_name["city"].counts == (30, 30, 30, 0, 0)
    assert by_name["income"].kind == "number"
    assert len(by_name["member"].edges) == 4, "two values, with bounds close around each"


def test_texts_that_are_nearly_all_different_are_known_by_their_length(tmp_path: Path) -> None:
    texts = [f"ship {number} leaves" for number in range(300)]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [number % 2 for number in range(300)])
    saved = make_run(tmp_path).save_model(model, X=texts)
    (feature,) = read_reference((saved.path.parent / FILE).read_bytes()).inputs
    assert feature.kind == "length"
    assert (feature.low, feature.high) == (13, 15)


def test_no_rows_no_reference(tmp_path: Path) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    saved = make_run(tmp_path).save_model(LinearRegression().fit(X, y))
    assert not (saved.path.parent / FILE).exists()


@pytest.mark.parametrize(
    "values",
    [
        [3.0] * 50,
        [np.nan] * 50,
        [np.inf, -np.inf, np.nan, 1.0] * 20,
        [1e308, -1e308, 0.0] * 20,
        list(range(1000)),
        [0, 1] * 50,
        [True, False] * 10,
        [1e-320, 2e-320] * 10,
        [2**60, 2**60 + 1] * 10,
        ["", "a", "b"] * 10,
        ["é" * 500] * 10,
    ],
)
def test_odd_values_are_counted_and_survive_being_stored(values: list[object]) -> None:
    reference = one_column(values)
    (feature,) = reference.inputs
    assert sum(feature.counts) == len(values)
    assert read_reference(reference.to_json()) == reference
    assert reference.to_json() == one_column(values).to_json()


def test_values_between_the_few_known_ones_have_a_bin_of_their_own() -> None:
    edges = number_edges(np.array([0.0, 1.0, 1.0]))
    assert list(np.searchsorted(edges, [0.0, 0.5, 1.0])) == [1, 2, 3]


def test_a_table_of_very_many_columns_is_watched_in_part() -> None:
    width = MAX_FEATURES + 10
    signature = Signature(inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, width)),))
    reference = build_reference(signature, {"x": np.zeros((5, width))}, {}, frozenset())
    assert len(reference.inputs) == MAX_FEATURES
    assert reference.unwatched == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schemaVersion": 2}, "schemaVersion"),
        ({"inputs": [{"name": "x"}]}, "KeyError"),
        ({"inputs": None}, "TypeError"),
        ({"rows": "many"}, "many"),
    ],
)
def test_a_file_that_is_no_reference_is_refused_with_the_reason(change: dict[str, object], words: str) -> None:
    stored = json.loads(one_column([1.0, 2.0]).to_json())
    with pytest.raises(ValueError, match=words):
        read_reference(json.dumps(stored | change).encode())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": [1]}, r"inputs\[0\].counts"),
        ({"counts": [-1] * 6}, r"inputs\[0\].counts"),
        ({"edges": [2, 1, 1, 0]}, r"inputs\[0\].edges"),
        ({"kind": "odd"}, r"inputs\[0\].kind"),
    ],
)
def test_a_feature_that_contradicts_itself_is_refused_by_name(change: dict[str, object], words: str) -> None:
    stored = json.loads(one_column([1.0, 2.0]).to_json())
    stored["inputs"][0] |= change
    with pytest.raises(ValueError, match=words):
        read_reference(json.dumps(stored).encode())


def test_the_frame_of_numbers_that_is_fed_by_column_is_described_by_column() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    specs = tuple(TensorSpec(name=name, datatype="FP32", shape=(-1, 1)) for name in frame.columns)
    reference = build_reference(Signature(inputs=specs), {n: frame[n].to_numpy() for n in frame}, {}, frozenset())
    assert [(feature.name, feature.tensor) for feature in reference.inputs] == [("a", "a"), ("b", "b")]
