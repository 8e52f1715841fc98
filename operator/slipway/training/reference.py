"""What training saw, in small: histograms of inputs and predictions, kept beside the model as ``reference.json``. The
model server holds its traffic against them.

Numbers are counted by the deciles of training, or by value where there are few; texts by value, or by length where nearly
every one is different. The last count of each feature is that of missing values.

Dataclasses and not documents of the registry: a server that starts must not wait for pydantic.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from slipway.registry.records import Signature

FILE: Final = "reference.json"
"""Its name beside the model file."""
MAX_BYTES: Final = 16 << 20
SCHEMA_VERSION: Final = 1

REFERENCE_ROWS: Final = 50_000
"""Rows of training data at most that are looked at, evenly spread."""
MAX_FEATURES: Final = 512
"""Features of inputs, and of outputs, that are watched: the first ones."""
BINS: Final = 10
FEW_VALUES: Final = 10
MAX_CATEGORIES: Final = 100
"""Categories that are counted by name; rarer ones are counted together."""
MAX_CATEGORY_LENGTH: Final = 200
Kind = Literal["number", "category", "length"]
NUMBER: Final[Kind] = "number"
CATEGORY: Final[Kind] = "category"
LENGTH: Final[Kind] = "length"


@dataclass(frozen=True)
class Feature:
    """One column of an input or output. `counts`: rows by bin, then those outside of all categories (`kind` category
    only), then missing ones."""

    name: str
    tensor: str
    """The input or output of the model that holds it."""
    at: int
    """Its place in a row of that tensor."""
    kind: Kind
    """``length``: a text, of which the number of characters is looked at."""
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    """Bin i holds values above edge i-1 and up to edge i."""
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    """Smallest and largest value of training, for numbers and lengths."""


@dataclass(frozen=True)
class Reference:
    """Of one model version. `rows`: how many were looked at for the inputs; outputs have rows of their own."""

    rows: int
    inputs: tuple[Feature, ...] = ()
    outputs: tuple[Feature, ...] = ()
    unwatched: int = 0
    """Features beyond `MAX_FEATURES`."""

    def to_json(self) -> bytes:
        """As it is stored: the same content has the same bytes."""
        words = {"schemaVersion": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_reference(data: bytes) -> Reference:
    """What `Reference.to_json` wrote. Raises ValueError for anything else, naming what is wrong."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes, at most {MAX_BYTES} are possible")
    words = json.loads(data)
    if not isinstance(words, dict) or words.pop("schemaVersion", None) != SCHEMA_VERSION:
        raise ValueError(f"schemaVersion: {SCHEMA_VERSION} is the one that is known")
    try:
        sides = {side: tuple(_read_feature(one, f"{side}[{at}]") for at, one in enumerate(words[side])) for side in _SIDES}
        return Reference(rows=int(words["rows"]), unwatched=int(words["unwatched"]), **sides)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


_SIDES: Final = ("inputs", "outputs")


def _read_feature(words: dict[str, Any], field: str) -> Feature:
    lists = {name: tuple(words[name]) for name in ("counts", "edges", "categories")}
    feature = Feature(**{**words, **lists})
    if feature.kind not in get_args(Kind):
        raise ValueError(f"{field}.kind: {feature.kind!r} is not known")
    bins = len(feature.categories) + 2 if feature.kind == CATEGORY else len(feature.edges) + 2
    if len(feature.counts) != bins or not all(isinstance(count, int) and count >= 0 for count in feature.counts):
        raise ValueError(f"{field}.counts: {bins} counts belong there")
    if not all(isinstance(edge, float | int) for edge in feature.edges) or any(a >= b for a, b in pairwise(feature.edges)):
        raise ValueError(f"{field}.edges: ascending numbers belong there")
    return feature


Arrays = Mapping[str, NDArray[Any]]


def build_reference(signature: Signature, inputs: Arrays, outputs: Arrays, labels: frozenset[str]) -> Reference:
    """The reference of a model with `signature`. `inputs` and `outputs`: arrays [rows] or [rows, features] by tensor
    name; those of other shapes are left out. `labels`: outputs that hold classes."""
    taken, over = _features([spec.name for spec in signature.inputs], inputs, signature.columns, frozenset())
    given, more = _features([spec.name for spec in signature.outputs], outputs, (), labels)
    rows = max((len(array) for array in inputs.values()), default=0)
    return Reference(rows=rows, inputs=taken, outputs=given, unwatched=over + more)


def _features(
    names: list[str], arrays: Arrays, columns: tuple[str, ...], labels: frozenset[str]
) -> tuple[tuple[Feature, ...], int]:
    found: list[Feature] = []
    left_out = 0
    for tensor in names:
        array = arrays.get(tensor)
        if array is None or array.ndim > 2 or not len(array):
            continue
        matrix = array.reshape(len(array), -1)
        width = matrix.shape[1]
        for at in range(width):
            if len(found) >= MAX_FEATURES:
                left_out += width - at
                break
            name = feature_name(tensor, at, width, columns if len(names) == 1 else ())
            found.append(_feature(name, tensor, at, matrix[:, at], tensor in labels))
    return tuple(found), left_out


def feature_name(tensor: str, at: int, width: int, columns: tuple[str, ...]) -> str:
    """What a column is called: as in training, else by its tensor and place."""
    if len(columns) == width:
        return columns[at]
    return tensor if width == 1 else f"{tensor}[{at}]"


def _feature(name: str, tensor: str, at: int, values: NDArray[Any], label: bool) -> Feature:
    if label or values.dtype.kind in "OUST":
        texts = [category(value) for value in values.tolist()]
        named = Counter(text for text in texts if text)
        if not label and len(named) > MAX_CATEGORIES and len(named) > 0.5 * len(texts):
            lengths = np.array([len(text) if text else np.nan for text in texts])
            return _number(name, tensor, at, lengths, LENGTH)
        return _category(name, tensor, at, named, len(texts))
    return _number(name, tensor, at, values.astype(np.float64), NUMBER)


def category(value: Any) -> str:
    """A value as the name of a category; empty for a missing one."""
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)[:MAX_CATEGORY_LENGTH]


def _category(name: str, tensor: str, at: int, named: Counter[str], rows: int) -> Feature:
    common = sorted(text for text, _ in named.most_common(MAX_CATEGORIES))
    counts = [named[text] for text in common]
    there = sum(named.values())
    return Feature(
        name=name, tensor=tensor, at=at, kind=CATEGORY, categories=tuple(common),
        counts=(*counts, there - sum(counts), rows - there),
    )  # fmt: skip


def _number(name: str, tensor: str, at: int, values: NDArray[np.float64], kind: Kind) -> Feature:
    finite = values[np.isfinite(values)]
    edges = number_edges(finite)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
    present = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, present, side="left"), minlength=len(edges) + 1)
    return Feature(
        name=name, tensor=tensor, at=at, kind=kind, edges=tuple(edges.tolist()),
        counts=(*counts.tolist(), len(values) - len(present)), low=low, high=high,
    )  # fmt: skip


def number_edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounds of bins for finite `values`, ascending: their deciles; or, where there are few, two close around each, so
    that what lies between known values has a bin of its own."""
    if not len(values):
        return np.zeros(0)
    distinct = np.unique(values)
    with np.errstate(over="ignore"):
        if len(distinct) <= FEW_VALUES:
            gap = float(np.min(np.diff(distinct))) if len(distinct) > 1 else max(abs(float(distinct[0])), 1.0)
            around = np.maximum(gap * 1e-3, np.abs(distinct) * 1e-6)
            edges = np.unique(np.concatenate([distinct - around, distinct + around]))
            if float(around.max()) < gap / 2 and np.isfinite(edges).all():
                return edges
        deciles = np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="inverted_cdf")
        # a little above: single precision must not carry a value that equals a bound over it
        edges = np.unique(deciles + np.abs(deciles) * 1e-6)
    finite: NDArray[np.float64] = edges[np.isfinite(edges)]
    return finite
