"""The reference for drift, from the feature rows that a build was given, where the training code left none worth the name:
no rows with its model (a file made by another library), or a handful as an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.registry.records import InputRecord, Signature
from slipway.training.collect import LocalFile, Results
from slipway.training.feature_inputs import FILE as ROWS
from slipway.training.reference import FILE, NUMBER, REFERENCE_ROWS, Feature, Reference, build_reference, read_reference

if TYPE_CHECKING:
    import pandas as pd

ENOUGH = 1000
"""Rows that the training code gave with its model, from which on they are the reference: they are what the model was given."""


def with_feature_reference(results: Results, inputs: Sequence[InputRecord], folder: Path, output: Path) -> Results:
    """`results` with a reference from the first input below `folder` that is features and has every column of the model's
    signature; as they are when there is none, or the one beside the model is good enough. `output` is the folder of the
    model. Raises what reading Parquet does."""
    columns = _columns(results.signature)
    given = _given(results)
    for record in inputs:
        path = folder / record.name / ROWS
        if record.features is None or not columns or not path.is_file():
            continue
        if given is not None and given.rows >= min(ENOUGH, (record.rows or 0) // 2):
            continue
        made = _made(path, columns, results.signature)
        if made is None or not made.inputs or not _same_scale(given, made):
            continue
        merged = replace(made, outputs=given.outputs) if given is not None else made
        target = output / FILE
        target.write_bytes(merged.to_json())
        others = tuple(file for file in results.model if file.name != FILE)
        return replace(results, model=(*others, LocalFile(target, FILE, "application/json")))
    return results


def _columns(signature: Signature | None) -> tuple[str, ...]:
    if signature is None:
        return ()
    return signature.columns or tuple(spec.name for spec in signature.inputs)


def _given(results: Results) -> Reference | None:
    for file in results.model:
        if file.name == FILE:
            try:
                return read_reference(file.path.read_bytes())
            except ValueError:
                return None
    return None


def _made(path: Path, columns: Sequence[str], signature: Signature | None) -> Reference | None:
    import pyarrow.parquet as pq

    from slipway.training.features import read_features

    file = pq.ParquetFile(path)
    if signature is None or not set(columns) <= set(file.schema_arrow.names) or not file.metadata.num_rows:
        return None
    try:
        rows = read_features(_spread(file, columns), REFERENCE_ROWS)
    except ValueError:  # a type that no model takes as it is
        return None
    arrays: dict[str, Any] = rows.every()
    if len(signature.inputs) == 1 and rows.matrix is not None:
        arrays[signature.inputs[0].name] = rows.matrix
    return build_reference(signature, arrays, {}, frozenset())


def _spread(file: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Every n-th row, so that no more than twice `REFERENCE_ROWS` are held at a time, whatever the size of the file."""
    import numpy as np
    import pyarrow as pa

    step = max(1, file.metadata.num_rows // REFERENCE_ROWS)
    parts, first = [], 0
    for batch in file.iter_batches(batch_size=1 << 16, columns=list(columns)):
        parts.append(batch.take(pa.array(np.arange(-first % step, batch.num_rows, step))))
        first += batch.num_rows
    return pa.Table.from_batches(parts).select(list(columns)).to_pandas()


def _same_scale(given: Reference | None, made: Reference) -> bool:
    """Whether what the training code showed could be among the rows: not so when it scaled them before its model."""
    ours = {feature.name: feature for feature in made.inputs}
    return given is None or all(_within(feature, ours.get(feature.name)) for feature in given.inputs)


def _within(shown: Feature, rows: Feature | None) -> bool:
    if rows is None or shown.kind != rows.kind:
        return False
    if shown.kind != NUMBER or shown.low is None or shown.high is None:
        return True
    slack = 1e-6 * max(abs(shown.low), abs(shown.high), 1e-30)  # single precision
    return rows.low is not None and rows.high is not None and rows.low - slack <= shown.low and shown.high <= rows.high + slack
