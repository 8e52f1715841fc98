"""What one model's endpoints answer: metadata, and predictions in the forms of a request."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from slipway.serving.app import JSON, Direct, Get, Route
from slipway.serving.batching import Answer, Batcher, Item
from slipway.serving.failures import fail
from slipway.serving.formats import Model
from slipway.serving.http.exchange import Exchange
from slipway.serving.openapi import Shown
from slipway.serving.pipeline import Pipeline
from slipway.serving.protocol import binary, records, v1, v2
from slipway.serving.protocol.body import read_json, read_object
from slipway.serving.protocol.encodings import decoded
from slipway.serving.protocol.rows import read_rows, write_rows
from slipway.serving.signature import Tensor
from slipway.serving.single import Row, Rows
from slipway.serving.tensors import Array

BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Identity:
    """What is served: the model's name in URLs, its version, and its root digest (empty when not known)."""

    name: str
    version: str
    digest: str = ""


class Endpoints:
    """The endpoints of one model. `pipeline`: application code around it, if there is any. `max_body`: what a compressed
    body may unfold to."""

    def __init__(
        self,
        identity: Identity,
        model: Model,
        batcher: Batcher,
        max_rows: int,
        pipeline: Pipeline | None = None,
        max_body: int = 16 << 20,
    ) -> None:
        self.identity = identity
        self._name, self._version = identity.name, identity.version
        self._signature = model.signature
        self._batcher = batcher
        self._max_rows = max_rows
        self._max_body = max_body
        self._pipeline = pipeline
        self._platform = f"{model.format}_{'onnxruntime' if model.format == 'onnx' else 'sklearn'}"
        self._writer = v2.InferWriter(self._name, self._version)
        quick = model.signature.quick if pipeline is None and model.signature.by_rows else None
        self._single: Rows | None = None
        """Reads rows of floats; None for models that take something else."""
        if quick is not None:
            self._single = Rows(quick, model.signature.outputs, self._writer, self._finish, self._request)
        if pipeline is None:
            batcher.write_stacked = self._write_stacked
            batcher.single = self._single

    def metadata(self) -> dict[str, Any]:
        """The answer to ``GET /v2/models/<model>``."""
        return v2.model_metadata(self._name, self._version, self._signature, self._platform)

    def shown(self) -> Shown:
        """What the OpenAPI document and the page are made from."""
        return Shown(self._name, self._version, self._signature)

    def routes(self) -> dict[str, Route]:
        """The routes under this model's name, by path."""
        name = self._name
        described = orjson.dumps(self.metadata())
        ready = orjson.dumps({"name": name, "ready": True})
        infer = Direct("v2_infer", self.infer if self._pipeline is None else self.infer_through_application, name, binary=True)
        routes: dict[str, Route] = {
            f"/v1/models/{name}": Get("v1_model", lambda: (200, JSON, ready), name),
            f"/v1/models/{name}:predict": Direct("v1_predict", self.predict_instances, name),
            f"/predict/{name}": Direct("predict", self.predict_records, name),
        }
        for base in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{self._version}"):
            routes[base] = Get("v2_model", lambda: (200, JSON, described), name)
            routes[f"{base}/ready"] = Get("v2_model_ready", lambda: (200, JSON, ready), name)
            routes[f"{base}/infer"] = infer
        return routes

    def infer(self, exchange: Exchange) -> None:
        """``POST /v2/models/<model>/infer``."""
        single, headers = self._single, exchange.headers
        if single is not None and binary.HEADER not in headers and "content-encoding" not in headers:
            row = single.read(exchange)
            if row is not None:
                self._batcher.submit(row)
                return
        body, tail = self._parts(exchange)
        request = v2.read_infer(read_object(body), self._signature, self._max_rows, tail)
        self._submit(exchange, request.arrays, request.rows, request)

    def infer_through_application(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        """The same with application code, which may take other inputs and give other outputs than the model."""
        pipeline = self._pipeline
        assert pipeline is not None
        body, tail = self._parts(exchange)
        request = read_object(body)
        wants_binary = (request.get("parameters") or {}).get("binary_data_output") is True if tail is not None else False
        if pipeline.transforms_inputs:
            arrays, request_id = v2.read_free(request, self._max_rows, tail)
        else:
            fitting = v2.read_infer(request, self._signature, self._max_rows, tail)
            arrays = {tensor.name: array for tensor, array in zip(self._signature.inputs, fitting.arrays, strict=True)}
            request_id = fitting.id

        async def answer() -> None:
            outputs = await pipeline.arrays(arrays)
            self._reply(exchange, outputs, request_id, (True,) * len(outputs) if wants_binary else None)

        return answer()

    async def tensors(self, request: dict[str, Any], tail: binary.Tail) -> list[tuple[Tensor, Array]]:
        """Outputs for a v2 request that came by another protocol than HTTP. Raises what endpoints raise."""
        pipeline = self._pipeline
        if pipeline is not None and pipeline.transforms_inputs:
            return await pipeline.arrays(v2.read_free(request, self._max_rows, tail)[0])
        fitting = v2.read_infer(request, self._signature, self._max_rows, tail)
        if pipeline is not None:
            names = [tensor.name for tensor in self._signature.inputs]
            return await pipeline.arrays(dict(zip(names, fitting.arrays, strict=True)))
        outputs = await self._batcher.predict(fitting.arrays, fitting.rows)
        return self._chosen(outputs, fitting.outputs)

    def predict_instances(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """``POST /v1/models/<model>:predict``."""
        instances = v1.read_instances(read_object(self._plain(exchange)))
        return self._rows(exchange, instances, "instances", v1.write_predictions)

    def predict_records(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        """``POST /predict``."""
        rows = records.read_records(read_json(self._plain(exchange)))
        return self._rows(exchange, rows, records.FIELD, lambda given: records.write_records(self._name, self._version, given))

    def _rows(self, exchange: Exchange, rows: list[Any], field: str, write: Any) -> Coroutine[Any, Any, None] | None:
        pipeline = self._pipeline
        if pipeline is None:
            self._submit(exchange, read_rows(rows, self._signature, self._max_rows, field), len(rows), write)
            return None

        async def answer() -> None:
            given = await pipeline.rows(rows, self._max_rows, field)
            try:
                body = orjson.dumps(write(given), option=orjson.OPT_SERIALIZE_NUMPY)
            except TypeError as error:
                raise pipeline.unanswerable(error) from error
            exchange.reply(200, body)

        return answer()

    def _plain(self, exchange: Exchange) -> bytes:
        encoding = exchange.headers.get("content-encoding")
        return exchange.body if encoding is None else decoded(exchange.body, encoding, self._max_body)

    def _parts(self, exchange: Exchange) -> tuple[bytes | memoryview, binary.Tail | None]:
        """A v2 body: its JSON, and the binary tensors behind it."""
        body, length = self._plain(exchange), exchange.headers.get(binary.HEADER)
        return (body, None) if length is None else binary.split(body, length)

    def _request(self, body: bytes) -> v2.InferRequest:
        """A plain v2 body."""
        return v2.read_infer(read_object(body), self._signature, self._max_rows)

    def _submit(self, exchange: Exchange, arrays: list[Array], rows: int, how: Any) -> None:
        item = Item(arrays, rows, self._finish, exchange.id, (exchange, how))
        exchange.on_gone = item.leave
        self._batcher.submit(item)

    def _finish(self, item: Item | Row, answer: Answer) -> None:
        """Answers one request from its own outputs."""
        exchange, how = item.note
        try:
            if isinstance(answer, BaseException):
                raise answer
            if isinstance(how, v2.InferRequest):
                self._reply(exchange, self._chosen(answer, how.outputs), how.id, how.binary)
            else:
                given = how(write_rows(self._chosen(answer, None), item.rows))
                exchange.reply(200, orjson.dumps(given, option=orjson.OPT_SERIALIZE_NUMPY))
        except Exception as error:
            fail(exchange, error)

    def _write_stacked(self, batch: Sequence[Item | Row], outputs: Sequence[Array]) -> None:
        """Answers the requests of a batch of single rows; those that want plain JSON from texts that are made at once."""
        plain = [
            item for item in batch
            if type(item.note) is tuple and type(how := item.note[1]) is v2.InferRequest and how.outputs is None and how.binary is None
        ]  # fmt: skip
        texts: list[bytes] | None = None
        if len(plain) == len(batch):
            texts = self._writer.write_single_rows(
                list(zip(self._signature.outputs, outputs, strict=True)), [item.note[1].id for item in batch]
            )
        if texts is not None:
            for item, text in zip(batch, texts, strict=True):
                if not item.gone:
                    item.note[0].reply(200, text)
            return
        for at, item in enumerate(batch):
            if not item.gone:
                item.finish(item, [output[at : at + 1] for output in outputs])

    def _reply(
        self, exchange: Exchange, outputs: list[tuple[Tensor, Array]], request_id: str | None, wanted: tuple[bool, ...] | None
    ) -> None:
        body, length = self._writer.write(outputs, request_id, wanted)
        if length is None:
            exchange.reply(200, body)
        else:
            exchange.reply(200, body, BINARY, (("inference-header-content-length", str(length)),))

    def _chosen(self, outputs: Sequence[Array], wanted: tuple[int, ...] | None) -> list[tuple[Tensor, Array]]:
        tensors = self._signature.outputs
        if wanted is None:
            return list(zip(tensors, outputs, strict=True))
        return [(tensors[at], outputs[at]) for at in wanted]
