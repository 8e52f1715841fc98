"""Endpoints of a model that was trained on feature views: a request may bring entity keys instead of the model's columns."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import orjson

from slipway.serving.endpoints import Endpoints
from slipway.serving.errors import BadInput
from slipway.serving.features.online import Online
from slipway.serving.http.exchange import Exchange
from slipway.serving.openapi import Shown
from slipway.serving.protocol import binary, v2
from slipway.serving.protocol.body import read_object
from slipway.serving.protocol.rows import check_rows, read_rows
from slipway.serving.signature import Tensor
from slipway.serving.tensors import Array

_INPUTS = "inputs"


class FeatureEndpoints(Endpoints):
    """`online` gives the features. A request with all of the model's columns is answered as any other."""

    def __init__(self, online: Online, *more: Any) -> None:
        super().__init__(*more)
        self._online = online

    def shown(self) -> Shown:
        return replace(super().shown(), keyed=self._online.keyed())

    def infer(self, exchange: Exchange) -> Any:
        body, tail = self._parts(exchange)
        request = read_object(body)
        if self._has_keys(request):
            return self._infer_joined(exchange, request, tail)
        return super().infer(exchange)

    def infer_through_application(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        body, tail = self._parts(exchange)
        request = read_object(body)
        if not self._has_keys(request):
            return super().infer_through_application(exchange)
        wants_binary = (request.get("parameters") or {}).get("binary_data_output") is True if tail is not None else False

        async def answer() -> None:
            rows, request_id = await self._joined(request, tail)
            outputs = await self._through_application(rows)
            self._reply(exchange, outputs, request_id, (True,) * len(outputs) if wants_binary else None)

        return answer()

    async def tensors(self, request: dict[str, Any], tail: binary.Tail) -> list[tuple[Tensor, Array]]:
        if not self._has_keys(request):
            return await super().tensors(request, tail)
        rows, _ = await self._joined(request, tail)
        if self._pipeline is not None:
            return await self._through_application(rows)
        fitting = v2.request_of(self._arrays(rows, _INPUTS), request, self._signature)
        return self._chosen(await self._batcher.predict(fitting.arrays, fitting.rows), fitting.outputs)

    def _rows(self, exchange: Exchange, rows: list[Any], field: str, write: Any) -> Coroutine[Any, Any, None] | None:
        if not rows or type(rows[0]) is not dict or not self._online.wanted(rows[0]):
            if self._pipeline is None and rows and type(rows[0]) is dict:
                self._online.check_whole(rows[0], field)
            return super()._rows(exchange, rows, field, write)
        check_rows(rows, self._max_rows, field)
        for at, row in enumerate(rows):
            if type(row) is not dict:
                raise BadInput(f"{field}[{at}]: an object by column name belongs here, as in the first row")
        return self._predict_joined(exchange, rows, field, write)

    async def _predict_joined(self, exchange: Exchange, rows: list[Any], field: str, write: Any) -> None:
        joined = await self._online.join(rows, field)
        if self._pipeline is not None:
            given = await self._pipeline.rows(joined, self._max_rows, field)
            exchange.reply(200, orjson.dumps(write(given), option=orjson.OPT_SERIALIZE_NUMPY))
        else:
            self._submit(exchange, self._arrays(joined, field), len(joined), write)

    async def _infer_joined(self, exchange: Exchange, request: dict[str, Any], tail: binary.Tail | None) -> None:
        rows, _ = await self._joined(request, tail)
        fitting = v2.request_of(self._arrays(rows, _INPUTS), request, self._signature)
        self._submit(exchange, fitting.arrays, fitting.rows, fitting)

    def _has_keys(self, request: dict[str, Any]) -> bool:
        """Whether a v2 request names an entity key that the model does not take."""
        sent = request.get(_INPUTS)
        if type(sent) is not list:
            return False
        names = {item.get("name"): None for item in sent if type(item) is dict and type(item.get("name")) is str}
        return any(name in self._online.keys and name not in self._signature.positions for name in names) and bool(
            self._online.wanted(names)  # type: ignore[arg-type]
        )

    async def _joined(self, request: dict[str, Any], tail: binary.Tail | None) -> tuple[list[dict[str, Any]], str | None]:
        """The rows of a v2 request, whose inputs are columns, with their features; and its id."""
        arrays, request_id = v2.read_free(request, self._max_rows, tail)
        columns: dict[str, list[Any]] = {}
        for name, array in arrays.items():
            if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
                raise BadInput(
                    f"{_INPUTS}: {name!r} is no column: beside entity keys, give each column as an input of shape [n] or [n, 1]"
                )
            columns[name] = array.reshape(-1).tolist()
        if len({len(values) for values in columns.values()}) != 1:
            raise BadInput(f"{_INPUTS}: give the same number of rows in each")
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return await self._online.join(rows, _INPUTS), request_id

    async def _through_application(self, rows: list[dict[str, Any]]) -> list[tuple[Tensor, Array]]:
        pipeline = self._pipeline
        assert pipeline is not None
        if pipeline.transforms_inputs:
            return await pipeline.arrays({name: _column([row[name] for row in rows]) for name in rows[0]})
        arrays = self._arrays(rows, _INPUTS)
        return await pipeline.arrays({tensor.name: array for tensor, array in zip(self._signature.inputs, arrays, strict=True)})

    def _arrays(self, rows: list[dict[str, Any]], field: str) -> list[Array]:
        """What the model takes. Nulls are NaN, as they were in training. Raises BadInput for one where no NaN can be."""
        signature, missing = self._signature, []
        for at, row in enumerate(rows):
            for name, value in row.items():
                if value is None:
                    missing.append((at, name))
                    row[name] = 0
                elif type(value) is bool and self._datatype(name) != "BOOL":
                    row[name] = int(value)
        for at, name in missing:
            if not self._datatype(name).startswith("FP"):
                raise BadInput(
                    f"{field}[{at}]: {name} is null, and the model takes {self._datatype(name) or 'no such column'}: send it", 422
                )
        arrays = read_rows(rows, signature, self._max_rows, field)
        if missing:
            arrays = [array if array.flags.writeable else array.copy() for array in arrays]
            names = signature.row_names
            for at, name in missing:
                place = names.index(name)
                if signature.one_matrix and len(names) > 1:
                    arrays[0][at, place] = np.nan
                else:
                    arrays[place][at] = np.nan
        return arrays

    def _datatype(self, name: str) -> str:
        signature = self._signature
        if name not in signature.row_names:
            return ""
        return signature.inputs[0 if signature.one_matrix else signature.row_names.index(name)].datatype


def _column(values: list[Any]) -> Array:
    """One column; null is NaN among numbers."""
    if all(value is None or type(value) in (int, float) for value in values) and any(value is None for value in values):
        return np.array([np.nan if value is None else value for value in values])
    return np.array(values, dtype=object) if any(type(value) is str for value in values) else np.array(values)
