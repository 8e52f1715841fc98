"""What the server answers: health, metadata, and predictions in the three forms of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from slipway.serving.app import JSON, Get, Post
from slipway.serving.batching import Batcher
from slipway.serving.formats import Model
from slipway.serving.openapi import document
from slipway.serving.pipeline import Pipeline
from slipway.serving.protocol import records, v1, v2
from slipway.serving.protocol.body import read_json, read_object
from slipway.serving.protocol.rows import read_rows, write_rows
from slipway.serving.signature import Tensor
from slipway.serving.tensors import Array


@dataclass(frozen=True)
class Identity:
    """What is served: the model's name in URLs, its version, and its root digest (empty when not known)."""

    name: str
    version: str
    digest: str = ""


class Endpoints:
    """The endpoints of one model. `pipeline`: application code around it, if there is any."""

    def __init__(
        self, identity: Identity, model: Model, batcher: Batcher, max_rows: int, pipeline: Pipeline | None = None
    ) -> None:
        self._name, self._version = identity.name, identity.version
        self._model = model
        self._signature = model.signature
        self._batcher = batcher
        self._max_rows = max_rows
        self._pipeline = pipeline
        self._platform = f"{model.format}_{'onnxruntime' if model.format == 'onnx' else 'sklearn'}"

    def routes(self) -> dict[str, Get | Post]:
        """Everything but health and metrics, by path."""
        metadata = orjson.dumps(v2.model_metadata(self._name, self._version, self._signature, self._platform))
        ready = orjson.dumps({"name": self._name, "ready": True})
        described = orjson.dumps(document(self._name, self._version, self._signature))
        infer = Post("v2_infer", self.infer if self._pipeline is None else self.infer_through_application, self._name)
        routes: dict[str, Get | Post] = {
            f"/v1/models/{self._name}": Get("v1_model", lambda: (200, JSON, ready), self._name),
            "/v1/models": Get("v1_models", lambda: (200, JSON, orjson.dumps({"models": [self._name]}))),
            f"/v1/models/{self._name}:predict": Post("v1_predict", self.predict_instances, self._name),
            "/predict": Post("predict", self.predict_records, self._name),
            "/openapi.json": Get("openapi", lambda: (200, JSON, described)),
        }
        for base in (f"/v2/models/{self._name}", f"/v2/models/{self._name}/versions/{self._version}"):
            routes[base] = Get("v2_model", lambda: (200, JSON, metadata), self._name)
            routes[f"{base}/ready"] = Get("v2_model_ready", lambda: (200, JSON, ready), self._name)
            routes[f"{base}/infer"] = infer
        return routes

    async def infer(self, body: bytes) -> bytes:
        """``POST /v2/models/<model>/infer``."""
        request = v2.read_infer(read_object(body), self._signature, self._max_rows)
        outputs = await self._batcher.predict(request.arrays, request.rows)
        return v2.write_infer(self._name, self._version, self._chosen(outputs, request.outputs), request.id)

    async def infer_through_application(self, body: bytes) -> bytes:
        """The same with application code, which may take other inputs and give other outputs than the model."""
        assert self._pipeline is not None
        request = read_object(body)
        if self._pipeline.transforms_inputs:
            arrays, request_id = v2.read_free(request, self._max_rows)
        else:
            fitting = v2.read_infer(request, self._signature, self._max_rows)
            arrays = {tensor.name: array for tensor, array in zip(self._signature.inputs, fitting.arrays, strict=True)}
            request_id = fitting.id
        outputs = await self._pipeline.arrays(arrays)
        return v2.write_infer(self._name, self._version, outputs, request_id)

    async def predict_instances(self, body: bytes) -> bytes:
        """``POST /v1/models/<model>:predict``."""
        rows = await self._predict_rows(v1.read_instances(read_object(body)), "instances")
        return orjson.dumps(v1.write_predictions(rows), option=orjson.OPT_SERIALIZE_NUMPY)

    async def predict_records(self, body: bytes) -> bytes:
        """``POST /predict``."""
        rows = await self._predict_rows(records.read_records(read_json(body)), records.FIELD)
        answer = records.write_records(self._name, self._version, rows)
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)

    async def _predict_rows(self, rows: list[Any], field: str) -> list[Any]:
        if self._pipeline is not None:
            return await self._pipeline.rows(rows, self._max_rows, field)
        arrays = read_rows(rows, self._signature, self._max_rows, field)
        outputs = await self._batcher.predict(arrays, len(rows))
        return write_rows(self._chosen(outputs, None))

    def _chosen(self, outputs: Sequence[Array], wanted: tuple[int, ...] | None) -> list[tuple[Tensor, Array]]:
        tensors = self._signature.outputs
        if wanted is None:
            return list(zip(tensors, outputs, strict=True))
        return [(tensors[at], outputs[at]) for at in wanted]
