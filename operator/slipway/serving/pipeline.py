"""Application code and model in a row: preprocess, predict, postprocess, with what goes between them put into form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slipway.serving.batching import Batcher
from slipway.serving.datatypes import DTYPES, datatype_of
from slipway.serving.errors import BadInput, ModelFailed, first_line
from slipway.serving.monitoring.application import ApplicationWatch, named_arrays
from slipway.serving.monitoring.observer import CALLS, REQUEST, Call
from slipway.serving.protocol.body import kind_of
from slipway.serving.protocol.rows import check_rows, read_rows, write_rows
from slipway.serving.service import RECORDS, ApplicationFailed, Service
from slipway.serving.signature import ANY, Signature, Tensor
from slipway.serving.tensors import Array

Named = Mapping[str, Array]


class Pipeline:
    """The way of a request through application code and model."""

    def __init__(
        self, service: Service, signature: Signature, batcher: Batcher, max_rows: int, watch: ApplicationWatch | None = None
    ) -> None:
        """`watch` sees what the application's own `predict` takes and gives; the model's answers are seen by the batcher."""
        self._service = service
        self._watch = watch
        self._signature = signature
        self._batcher = batcher
        self._max_rows = max_rows

    @property
    def transforms_inputs(self) -> bool:
        """Whether the application takes the request's inputs as they are: they need not fit the model's signature."""
        return self._service.has("preprocess") or self._service.has("predict")

    async def arrays(self, inputs: Named) -> list[tuple[Tensor, Array]]:
        """Tensors in, tensors out. Raises HTTPError, ApplicationFailed, and what the model raises."""
        if self._service.takes == RECORDS:
            given: Any = self._as_records(inputs)
        else:
            # what was decoded without a copy cannot be written to, which application code need not know
            given = {name: array if array.flags.writeable else array.copy() for name, array in inputs.items()}
        outputs = await self._run(given)
        if isinstance(given, list) and isinstance(outputs, list):
            self._check_count(outputs, len(given))
        return self._as_tensors(outputs)

    async def rows(self, rows: list[Any], max_rows: int, field: str) -> list[Any]:
        """Rows in, one answer for each row out. Raises as `arrays` does."""
        check_rows(rows, max_rows, field)
        if self._service.takes == RECORDS:
            for at, row in enumerate(rows):
                if type(row) is not dict:
                    raise BadInput(f"{field}[{at}]: an object belongs here, not {kind_of(row)}")
            given: Any = rows
        else:
            arrays = read_rows(rows, self._signature, max_rows, field)
            given = {tensor.name: array for tensor, array in zip(self._signature.inputs, arrays, strict=True)}
        count = len(rows)
        outputs = await self._run(given)
        if isinstance(outputs, Mapping):
            try:
                return write_rows(self._as_tensors(outputs), count)
            except ModelFailed as error:
                raise ApplicationFailed(f"{self._last}: {error}") from error
        listed = outputs.tolist() if isinstance(outputs, np.ndarray) else outputs
        if not isinstance(listed, list):
            raise self._failed(self._last_step, listed)
        self._check_count(listed, count)
        return listed

    def unanswerable(self, error: Exception) -> ApplicationFailed:
        """For an answer that JSON cannot hold."""
        return ApplicationFailed(f"{self._last} gave what is no JSON: {first_line(error)}")

    @property
    def _last_step(self) -> str:
        """The method whose answer is sent."""
        return next((step for step in ("postprocess", "predict") if self._service.has(step)), "preprocess")

    @property
    def _last(self) -> str:
        return f"{self._service.name}.{self._last_step}"

    def _check_count(self, rows: list[Any], count: int) -> None:
        if len(rows) != count:
            raise ApplicationFailed(f"{self._last} gave {len(rows)} rows for the {count} that were given: give one for each")

    async def _run(self, given: Any) -> Any:
        service = self._service
        if service.has("preprocess"):
            given = await service.call("preprocess", given)
        outputs = await (self._predict(given) if service.has("predict") else self._model(given))
        return await service.call("postprocess", outputs) if service.has("postprocess") else outputs

    async def _predict(self, given: Any) -> Any:
        """The application's own answer, watched as a model's is."""
        if self._watch is None:
            return await self._service.call("predict", given)
        signature = self._signature
        taken = named_arrays(given, _only(signature.inputs, "input"))  # before the application may change it
        calls: list[Call] = []
        before = CALLS.set(calls)
        try:
            outputs = await self._service.call("predict", given)
        finally:
            CALLS.reset(before)
        self._watch.observe(REQUEST.get(), taken, named_arrays(outputs, _only(signature.outputs, "output")), calls)
        return outputs

    async def _model(self, given: Any) -> Any:
        """The model's own answer, in the form that the application takes."""
        arrays, count = self._for_model(given)
        outputs = await self._batcher.predict(arrays, count)
        pairs = list(zip(self._signature.outputs, outputs, strict=True))
        return write_rows(pairs) if self._service.takes == RECORDS else {tensor.name: array for tensor, array in pairs}

    def _for_model(self, given: Any) -> tuple[list[Array], int]:
        """What the application prepared, held against the signature. Without `preprocess` it is the request's own data,
        and what is wrong with it is the client's fault."""
        own = self._service.has("preprocess")
        if isinstance(given, list):
            try:
                return read_rows(given, self._signature, self._max_rows, "records"), len(given)
            except BadInput as error:
                raise (ApplicationFailed(f"{self._service.name}.preprocess: {error}") if own else error) from error
        if not isinstance(given, Mapping):
            raise self._failed("preprocess", given)
        try:
            arrays = [_fitted(given, tensor) for tensor in self._signature.inputs]
        except (ValueError, TypeError, KeyError) as error:
            raise ApplicationFailed(f"{self._service.name}.preprocess: {error}") from error
        counts = {len(array) for array in arrays} if self._signature.by_rows else {1}
        if len(counts) != 1:
            raise ApplicationFailed(f"{self._service.name}.preprocess gave inputs of different numbers of rows")
        return arrays, counts.pop()

    def _as_records(self, inputs: Named) -> list[dict[str, Any]]:
        """Tensors as rows by column name. Raises BadInput for those that are no table."""
        columns: dict[str, list[Any]] = {}
        for name, array in inputs.items():
            names = self._signature.columns
            if array.ndim == 2 and array.shape[1] == len(names) and len(inputs) == 1:
                columns.update(zip(names, array.T.tolist(), strict=True))
            elif array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
                columns[name] = array.reshape(-1).tolist()
            else:
                raise BadInput(f"inputs: {name!r} is no column of a table; use POST /predict with records")
        if len({len(values) for values in columns.values()}) != 1:
            raise BadInput("inputs: give the same number of rows in each")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _as_tensors(self, outputs: Any) -> list[tuple[Tensor, Array]]:
        """What the application gave, as tensors. Raises ApplicationFailed for what is none."""
        if isinstance(outputs, list) and outputs and all(isinstance(row, Mapping) for row in outputs):
            names = list(outputs[0])
            if any(list(row) != names for row in outputs):
                raise ApplicationFailed(f"{self._service.name} gave rows with different names")
            outputs = {name: [row[name] for row in outputs] for name in names}
        elif not isinstance(outputs, Mapping):
            outputs = {"output": outputs}
        return [self._tensor(str(name), values) for name, values in outputs.items()]

    def _tensor(self, name: str, values: Any) -> tuple[Tensor, Array]:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ApplicationFailed(f"{self._service.name}: output {name!r} is no tensor: {error}") from error
        if values is None:
            raise ApplicationFailed(f"{self._last} gave None for output {name!r}: give an array, or a value for each row")
        if array.ndim == 0:
            array = array.reshape(1)
        if array.dtype.kind == "O" and not all(isinstance(value, str) for value in array.ravel()):
            raise ApplicationFailed(f"{self._service.name}: output {name!r} is no tensor: its values are of mixed types")
        datatype = datatype_of(array.dtype)
        if datatype is None:
            raise ApplicationFailed(f"{self._service.name}: output {name!r} is of {array.dtype}, which no datatype holds")
        return Tensor(name, datatype, array.shape), array.astype(DTYPES[datatype], copy=False)

    def _failed(self, step: str, value: Any) -> ApplicationFailed:
        return ApplicationFailed(
            f"{self._service.name}.{step} gave a {type(value).__name__}; rows or arrays by name belong there"
        )


def _only(tensors: Sequence[Tensor], otherwise: str) -> str:
    """The name of what comes without one."""
    return tensors[0].name if len(tensors) == 1 else otherwise


def _fitted(given: Mapping[str, Any], tensor: Tensor) -> Array:
    if tensor.name not in given:
        raise ValueError(f"input {tensor.name!r} is missing: it gave {sorted(map(str, given))}")
    array = np.asarray(given[tensor.name], dtype=tensor.dtype)
    wanted: Sequence[int] = tensor.shape
    fits = array.ndim == len(wanted) and all(w in (ANY, h) for w, h in zip(wanted, array.shape, strict=True))
    if not fits or 0 in array.shape:
        raise ValueError(f"input {tensor.name!r} has shape {list(array.shape)}, the model takes {list(wanted)}")
    return array
