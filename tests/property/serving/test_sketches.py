"""Sketches add up, whatever is in the rows and however they are cut into batches."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slipway.registry import records
from slipway.serving.monitoring.drift import drift
from slipway.serving.monitoring.sketch import Layout, Sketch, counts_of, noise, psi
from slipway.serving.signature import Tensor
from slipway.training.reference import build_reference, read_reference

NUMBERS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(allow_nan=True, allow_infinity=True)
)
TEXTS = st.lists(st.text(max_size=5), min_size=1, max_size=40)
COUNTS = st.lists(st.integers(0, 10_000), min_size=3, max_size=3)


def layout_of(numbers: np.ndarray, texts: list[str]) -> Layout:
    specs = (
        records.TensorSpec(name="n", datatype="FP64", shape=(-1, 2)),
        records.TensorSpec(name="t", datatype="BYTES", shape=(-1, 1)),
    )
    arrays = {"n": numbers, "t": np.array(texts, dtype=object).reshape(-1, 1)}
    made = read_reference(build_reference(records.Signature(inputs=specs), arrays, {}, frozenset()).to_json())
    return Layout(made.inputs, (Tensor("n", "FP64", (-1, 2)), Tensor("t", "BYTES", (-1, 1))))


def tensors(numbers: np.ndarray, texts: list[str]) -> list[np.ndarray]:
    rows = len(numbers)
    repeated = (texts * rows)[:rows]
    return [numbers, np.array(repeated, dtype=object).reshape(-1, 1)]


@settings(max_examples=60, deadline=None)
@given(NUMBERS, TEXTS, NUMBERS, st.integers(1, 10))
def test_a_batch_in_pieces_gives_what_the_whole_gives(seen: np.ndarray, texts: list[str], sent: np.ndarray, piece: int) -> None:
    layout = layout_of(seen, texts)
    arrays = tensors(sent, texts)
    whole, pieces = Sketch.of(layout, arrays), Sketch.empty(layout)
    for start in range(0, len(sent), piece):
        pieces.add(Sketch.of(layout, [array[start : start + piece] for array in arrays]))
    assert counts_of(layout, pieces) == counts_of(layout, whole)
    assert all(sum(counts) == len(sent) and min(counts) >= 0 for counts in counts_of(layout, whole).values())
    assert (pieces.outside == whole.outside).all()


@settings(max_examples=40, deadline=None)
@given(NUMBERS, TEXTS, st.permutations([0, 1, 2]))
def test_the_order_of_adding_does_not_matter(sent: np.ndarray, texts: list[str], order: list[int]) -> None:
    layout = layout_of(sent, texts)
    parts = [Sketch.of(layout, tensors(sent * factor, texts)) for factor in (1.0, 0.5, -1.0)]
    found = []
    for way in ([0, 1, 2], order):
        total = Sketch.empty(layout)
        for at in way:
            total.add(parts[at])
        found.append(counts_of(layout, total))
    assert found[0] == found[1]


@settings(max_examples=60, deadline=None)
@given(NUMBERS, TEXTS)
def test_traffic_that_is_the_training_data_has_not_drifted(seen: np.ndarray, texts: list[str]) -> None:
    layout = layout_of(seen, [texts[0]] * len(seen))
    sketch = Sketch.of(layout, tensors(seen, [texts[0]]))
    for feature in layout.numbers:
        assert list(feature.counts) == counts_of(layout, sketch)[feature.name]
        assert psi(feature.counts, counts_of(layout, sketch)[feature.name]) == 0
    finite = np.isfinite(seen).all(axis=0)
    for one, whole in zip(drift(layout, sketch), finite, strict=False):
        assert not whole or one.out_of_range == 0


@given(COUNTS, COUNTS)
def test_the_index_is_finite_symmetric_and_never_negative(left: list[int], right: list[int]) -> None:
    assert psi(left, right) >= -1e-12
    assert np.isfinite(psi(left, right))
    assert abs(psi(left, right) - psi(right, left)) < 1e-9
    assert noise(left, right) >= 0
