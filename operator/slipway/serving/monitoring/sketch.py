"""Sketches of traffic: counts by the bins of a reference. They add up: a sketch of two batches is the sum of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from slipway.serving.signature import Tensor
from slipway.serving.tensors import Array
from slipway.training.reference import CATEGORY, LENGTH, NUMBER, Feature, category

Ints = NDArray[np.int64]


class Layout:
    """Which columns of a model's tensors are counted, and by which bounds. Made once, from a reference's features."""

    def __init__(self, features: Sequence[Feature], tensors: Sequence[Tensor]) -> None:
        """Features of tensors that the model does not have are left out."""
        places = {tensor.name: at for at, tensor in enumerate(tensors)}
        known = [feature for feature in features if feature.tensor in places]
        self.numbers = [feature for feature in known if feature.kind in (NUMBER, LENGTH)]
        self.categories = [feature for feature in known if feature.kind == CATEGORY]
        self._number_from = [(places[feature.tensor], feature.at, feature.kind == LENGTH) for feature in self.numbers]
        self._category_from = [(places[feature.tensor], feature.at) for feature in self.categories]
        width = max((len(feature.edges) for feature in self.numbers), default=0)
        self.edges = np.full((len(self.numbers), width), np.inf)
        for row, feature in enumerate(self.numbers):
            self.edges[row, : len(feature.edges)] = feature.edges
        self.low = np.array([-np.inf if f.low is None else f.low for f in self.numbers], dtype=np.float64)
        self.high = np.array([np.inf if f.high is None else f.high for f in self.numbers], dtype=np.float64)
        # the bounds of training, widened by what single precision rounds
        slack = 1e-6 * np.maximum(np.abs(self.low), np.abs(self.high))
        slack[~np.isfinite(slack)] = 0
        with np.errstate(over="ignore"):
            self.low -= slack
            self.high += slack
        self._known = [frozenset(feature.categories) for feature in self.categories]
        self._whole = self._one_matrix()

    @property
    def cost(self) -> int:
        """Comparisons for one row, to choose how many rows are counted at once."""
        return max(1, self.edges.size + 20 * len(self.categories))

    def matrix(self, arrays: Sequence[Array]) -> NDArray[np.float64]:
        """The numbers [rows, features], missing as NaN; lengths of texts are numbers."""
        if self._whole is not None:
            array = arrays[self._whole]
            return array.reshape(len(array), -1).astype(np.float64, copy=False)
        rows = len(arrays[0]) if arrays else 0
        made = np.empty((rows, len(self.numbers)))
        for column, (place, at, length) in enumerate(self._number_from):
            values = _column(arrays[place], at)
            made[:, column] = [len(text) or np.nan for text in map(category, values.tolist())] if length else values
        return made

    def texts(self, arrays: Sequence[Array]) -> list[Counter[str]]:
        """How often each category came, for each feature of categories; those not of training are `OTHER`."""
        counted = []
        for (place, at), known in zip(self._category_from, self._known, strict=True):
            raw = Counter(_column(arrays[place], at).tolist())
            named: Counter[str] = Counter()
            for value, times in raw.items():
                name = category(value)
                named[name if name in known or not name else OTHER] += times
            counted.append(named)
        return counted

    def _one_matrix(self) -> int | None:
        """The tensor that is counted as it is, when the features are just its columns in order."""
        places = {place for place, _, _ in self._number_from}
        in_order = [(at, length) for _, at, length in self._number_from] == [(i, False) for i in range(len(self.numbers))]
        return places.pop() if len(places) == 1 and in_order else None


OTHER = "\x00other"
"""Stands for categories that training did not have; no category has this name."""


@dataclass
class Sketch:
    """Counts over some rows. Arrays are [features] and [features, edges]; `above` are values above each edge."""

    rows: int
    above: Ints
    missing: Ints
    outside: Ints
    """Values below the smallest or above the largest of training."""
    texts: list[Counter[str]] = field(default_factory=list)

    @classmethod
    def empty(cls, layout: Layout) -> Sketch:
        """Of no rows."""
        count = len(layout.numbers)
        zeros = np.zeros(count, dtype=np.int64)
        return cls(0, np.zeros(layout.edges.shape, dtype=np.int64), zeros, zeros.copy(), [Counter() for _ in layout.categories])

    @classmethod
    def of(cls, layout: Layout, arrays: Sequence[Array]) -> Sketch:
        """Of the rows in a model's tensors, given in the order of its signature."""
        rows = len(arrays[0]) if arrays else 0
        # by features, so that what is compared with one number stands together
        columns = np.ascontiguousarray(layout.matrix(arrays)[:, : len(layout.numbers)].T)
        with np.errstate(invalid="ignore"):
            above = _count(columns[:, np.newaxis, :] > layout.edges[:, :, np.newaxis])
            outside = _count((columns < layout.low[:, np.newaxis]) | (columns > layout.high[:, np.newaxis]))
        return cls(rows, above, _count(np.isnan(columns)), outside, layout.texts(arrays))

    def add(self, other: Sketch) -> None:
        """Adds the counts of `other`, of the same layout."""
        self.rows += other.rows
        self.above += other.above
        self.missing += other.missing
        self.outside += other.outside
        for mine, its in zip(self.texts, other.texts, strict=True):
            mine.update(its)

    def copy(self) -> Sketch:
        """An independent one."""
        return Sketch(self.rows, self.above.copy(), self.missing.copy(), self.outside.copy(), [Counter(t) for t in self.texts])


def _count(found: NDArray[np.bool_]) -> Ints:
    """How often there is True along the last axis. Counted as bits: `numpy.count_nonzero` along an axis adds up whole numbers, which
    took most of the time that watching took."""
    counted: Ints = np.bitwise_count(np.packbits(found, axis=-1)).sum(axis=-1, dtype=np.int64)
    return counted


def counts_of(layout: Layout, sketch: Sketch) -> dict[str, list[int]]:
    """For each feature the counts as in `Feature.counts`: by bin, (others,) missing."""
    found: dict[str, list[int]] = {}
    for row, feature in enumerate(layout.numbers):
        missing = int(sketch.missing[row])
        steps = [sketch.rows - missing, *sketch.above[row, : len(feature.edges)].tolist(), 0]
        found[feature.name] = [*(steps[i] - steps[i + 1] for i in range(len(steps) - 1)), missing]
    for feature, named in zip(layout.categories, sketch.texts, strict=True):
        found[feature.name] = [*(named[name] for name in feature.categories), named[OTHER], named[""]]
    return found


def psi(reference: Sequence[int], found: Sequence[int]) -> float:
    """The population stability index of two histograms over the same bins: the sum of (q - p) ln(q / p) over their
    shares. Half a count is added to each bin, so that an empty one gives a large number and not an infinite one."""
    p, q = np.asarray(reference, dtype=np.float64) + 0.5, np.asarray(found, dtype=np.float64) + 0.5
    used = (p > 0.5) | (q > 0.5)
    p, q = p[used] / p[used].sum(), q[used] / q[used].sum()
    return float(np.sum((q - p) * np.log(q / p)))


def noise(reference: Sequence[int], found: Sequence[int]) -> float:
    """What `psi` is expected to be when nothing has changed, from the sizes of both samples."""
    bins = sum(1 for a, b in zip(reference, found, strict=True) if a or b)
    before, now = sum(reference), sum(found)
    return (bins - 1) * (1 / before + 1 / now) if before and now else 0.0


def _column(array: Array, at: int) -> Array:
    return array if array.ndim == 1 else array.reshape(len(array), -1)[:, at]
