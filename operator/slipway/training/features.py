"""The rows that a model is tried on: `X` as the estimator takes it, and as a served model will be fed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slipway.registry.records import TensorSpec

SAMPLE_ROWS = 2000
"""Rows of `X` at most that a conversion is compared on, evenly spread over it."""
INPUT = "input"
"""Name of the one input of a model whose features are all numbers."""

Feed = dict[str, NDArray[Any]]
_OIP = {
    "f2": "FP16", "f4": "FP32", "f8": "FP64", "i1": "INT8", "i2": "INT16", "i4": "INT32", "i8": "INT64",
    "u1": "UINT8", "u2": "UINT16", "u4": "UINT32", "u8": "UINT64", "b1": "BOOL",
}  # fmt: skip


@dataclass(frozen=True)
class Features:
    """A sample of `X`. Exactly one of `matrix`, `by_column`, `text` is set."""

    original: Any
    """The sampled rows in the type that was given: what the estimator's own methods take."""
    rows: int
    columns: tuple[str, ...] = ()
    matrix: NDArray[Any] | None = None
    """All features are numbers: one array [rows, features]."""
    by_column: dict[str, NDArray[Any]] | None = None
    """Some are text: one array [rows] per column, of dtype float64, int64 or object (str)."""
    text: NDArray[Any] | None = None
    """A plain sequence of texts: one array [rows] of str."""
    numbers_by_column: dict[str, NDArray[Any]] | None = None
    """The columns of a DataFrame that is all numbers: some pipelines pick their columns by name."""
    problem: str = ""
    """Why no ONNX input can express these rows; empty when one can."""

    def feeds(self) -> Iterator[Feed]:
        """The ways to feed an ONNX model with these rows, the one that is tried first at the beginning: small types
        before exact ones. Arrays are [rows, features] or [rows, 1]."""
        if self.matrix is not None:
            yield {INPUT: self.matrix.astype(np.float32)}
            yield {INPUT: self.matrix.astype(np.float64)}
        if self.text is not None:
            yield {INPUT: self.text.reshape(-1, 1)}
        columns = self.by_column or self.numbers_by_column
        if columns:
            kinds = {array.dtype.kind for array in columns.values()}
            yield _by_column(columns, np.float32, np.int64)
            if "i" in kinds:
                yield _by_column(columns, np.float32, np.float32)
            if "f" in kinds:
                yield _by_column(columns, np.float64, np.int64)

    def exact(self) -> Feed:
        """The rows without loss: FP64, INT64 and text."""
        if self.matrix is not None:
            return {INPUT: self.matrix.astype(np.float64)}
        if self.text is not None:
            return {INPUT: self.text.reshape(-1, 1)}
        return _by_column(self.by_column or {}, np.float64, np.int64)

    def every(self) -> Feed:
        """The rows without loss under every name that an input may have: as one matrix and by column."""
        return self.exact() | dict(self.numbers_by_column or {})


def _by_column(columns: dict[str, NDArray[Any]], floats: type, ints: type) -> Feed:
    kinds = {"f": floats, "i": ints, "O": object}
    return {name: array.astype(kinds[array.dtype.kind]).reshape(-1, 1) for name, array in columns.items()}


def read_features(X: Any, most: int = SAMPLE_ROWS) -> Features:  # noqa: N803
    """A sample of at most `most` rows of `X`: a DataFrame, a 2-D array or sparse matrix of numbers, or a sequence of
    texts. Raises ValueError, with words for a person, for anything else."""
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        return _from_frame(X, most)
    if hasattr(X, "toarray"):
        return _from_array(X.tocsr(), most)
    if hasattr(X, "to_numpy") and not isinstance(X, np.ndarray):
        X = X.to_numpy()  # noqa: N806
    return _from_array(X if isinstance(X, np.ndarray) else _as_array(X), most)


def datatype(array: NDArray[Any]) -> str:
    """The Open Inference Protocol's word for an array's type. Raises ValueError for one that it has none for."""
    if array.dtype.kind in "OUST":
        return "BYTES"
    try:
        return _OIP[array.dtype.str[1:]]
    except KeyError:
        raise ValueError(f"arrays of {array.dtype} have no Open Inference Protocol type") from None


def specs(arrays: Feed) -> tuple[TensorSpec, ...]:
    """The signature of named arrays whose first dimension is the rows."""
    return tuple(TensorSpec(name=name, datatype=datatype(array), shape=(-1, *array.shape[1:])) for name, array in arrays.items())


def example_of(feed: Feed) -> dict[str, Any]:
    """The first row of a feed as nested lists of one row; numbers that JSON has no word for become 0."""
    row = {}
    for name, array in feed.items():
        first = array[:1]
        row[name] = (np.nan_to_num(first, nan=0.0, posinf=0.0, neginf=0.0) if first.dtype.kind == "f" else first).tolist()
    return row


def _as_array(X: Any) -> NDArray[Any]:  # noqa: N803
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(f"X is no table: {error}") from error


def _chosen(rows: int, most: int) -> NDArray[np.intp]:
    if rows == 0:
        raise ValueError("X has no rows")
    return np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.intp))


def _from_array(X: Any, most: int) -> Features:  # noqa: N803
    if X.ndim not in (1, 2):
        raise ValueError(f"X has {X.ndim} dimensions; rows and features are 2")
    chosen = _chosen(X.shape[0], most)
    original = X[chosen]
    dense = original.toarray() if hasattr(original, "toarray") else original
    if dense.dtype.kind in "fiub" and dense.ndim == 2:
        return Features(original, len(chosen), matrix=dense)
    if dense.ndim == 1 and all(isinstance(value, str) for value in dense):
        return Features(original, len(chosen), text=dense.astype(object))
    if dense.dtype.kind == "O" and dense.ndim == 2:
        try:
            return Features(original, len(chosen), matrix=dense.astype(np.float64))
        except (TypeError, ValueError):
            raise ValueError("X is an array of text or mixed values: give a DataFrame with one type per column") from None
    kind = "text" if dense.dtype.kind in "UST" else str(dense.dtype)
    raise ValueError(f"X is a {dense.ndim}-D array of {kind}: give rows of numbers, a DataFrame, or a list of texts")


def _from_frame(X: Any, most: int) -> Features:  # noqa: N803
    names = tuple(str(column) for column in X.columns)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"X has more than one column {twice[0]!r}")
    if not names:
        raise ValueError("X has no columns")
    original = X.iloc[_chosen(len(X), most)]
    read = {name: _column(name, original.iloc[:, position]) for position, name in enumerate(names)}
    arrays = {name: array for name, (array, _) in read.items()}
    problem = next((problem for _, problem in read.values() if problem), "")
    if all(array.dtype.kind != "O" for array in arrays.values()):
        matrix = np.column_stack([array.astype(np.float64) for array in arrays.values()])
        return Features(original, len(original), names, matrix=matrix, numbers_by_column=arrays)
    return Features(original, len(original), names, by_column=arrays, problem=problem)


def _column(name: str, series: Any) -> tuple[NDArray[Any], str]:
    """One column as float64, int64 or object (str), and why ONNX cannot express it."""
    kind = getattr(series.dtype, "kind", "O")
    if kind in "iub":
        missing = bool(series.isna().any())
        return (series.to_numpy(np.float64, na_value=np.nan) if missing else series.to_numpy(np.int64)), ""
    if kind == "f":
        return series.to_numpy(np.float64, na_value=np.nan), ""
    if kind in "mMc":
        raise ValueError(f"column {name!r} is of type {series.dtype}: turn it into numbers or text before fit()")
    values = series.to_numpy(dtype=object)
    odd = next((value for value in values if not isinstance(value, str)), "")
    if isinstance(odd, str):
        return values, ""
    what = "missing values" if odd is None or odd != odd else f"a {type(odd).__name__}"
    texts = np.array([value if isinstance(value, str) else "" for value in values], dtype=object)
    return texts, f"text column {name!r} holds {what}, which an ONNX text input cannot express"
