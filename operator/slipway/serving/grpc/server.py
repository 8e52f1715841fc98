"""The gRPC server beside the HTTP one, on the same event loop and the same models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import grpc
from grpc import StatusCode

from slipway.serving import log
from slipway.serving.errors import ExitCode, HTTPError, StartError
from slipway.serving.failures import as_http
from slipway.serving.grpc import open_inference_pb2 as pb
from slipway.serving.grpc.convert import read_request, write_response
from slipway.serving.health import EXTENSIONS, NAME
from slipway.serving.metrics import Metrics
from slipway.serving.models import Models
from slipway.serving.monitoring.observer import REQUEST, request_id
from slipway.serving.prepare import Prepared
from slipway.serving.settings import Options

SERVICE = "inference.GRPCInferenceService"
_HEAD = 1 << 16
"""Bytes that a message may have beside its tensors."""
_CODES = {
    400: StatusCode.INVALID_ARGUMENT, 401: StatusCode.UNAUTHENTICATED, 404: StatusCode.NOT_FOUND,
    429: StatusCode.RESOURCE_EXHAUSTED, 501: StatusCode.UNIMPLEMENTED, 503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip


class State(Protocol):
    """The server that this one belongs to."""

    options: Options
    ready: bool
    metrics: Metrics

    def authorised(self, key: str) -> bool:
        """Whether `key` may ask."""


class GrpcServer:
    """Answers `SERVICE`."""

    def __init__(self, state: State, models: Models, version: str) -> None:
        self._state = state
        self._models = models
        self._version = version
        self._in_flight = 0
        self._server: Any = None

    @classmethod
    async def start(cls, state: State, models: Models, version: str) -> GrpcServer:
        """Listens on the port of the options. Raises StartError when it cannot."""
        self = cls(state, models, version)
        options = state.options
        limit = options.max_body + _HEAD
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limit),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", int(options.workers > 1)),
                ("grpc.max_connection_idle_ms", 600_000),
            ]
        )
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        host = f"[{options.host}]" if ":" in options.host else options.host
        address = f"{host}:{options.grpc_port}"
        try:
            if options.tls_cert is not None and options.tls_key is not None:
                self._server.add_secure_port(address, _credentials(options.tls_cert, options.tls_key))
            else:
                self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise StartError(f"cannot listen on {address} for gRPC: choose with --grpc-port", ExitCode.USAGE) from error
        await self._server.start()
        log.line("listening", url=f"grpc://{address}")
        return self

    async def close(self, grace: float) -> int:
        """Finishes what has begun, for up to `grace` seconds; gives the number of requests that were not answered."""
        await self._server.stop(grace)
        return self._in_flight

    def _handlers(self) -> dict[str, Any]:
        methods: dict[str, tuple[Any, Any]] = {
            "ServerLive": (pb.ServerLiveRequest, self._live),
            "ServerReady": (pb.ServerReadyRequest, self._ready),
            "ModelReady": (pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": (pb.ServerMetadataRequest, self._metadata),
            "ModelMetadata": (pb.ModelMetadataRequest, self._model_metadata),
            "ModelInfer": (pb.ModelInferRequest, self._infer),
            "RepositoryIndex": (pb.RepositoryIndexRequest, self._index),
            "RepositoryModelLoad": (pb.RepositoryModelRequest, self._load),
            "RepositoryModelUnload": (pb.RepositoryModelRequest, self._unload),
        }
        return {
            name: grpc.unary_unary_rpc_method_handler(
                self._guarded(name, answer), request_deserializer=kind.FromString, response_serializer=_serialised
            )
            for name, (kind, answer) in methods.items()
        }

    def _guarded(self, name: str, answer: Callable[[Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        """`answer` with access, time limit, errors as status codes, and counting."""
        unlocked = name in ("ServerLive", "ServerReady")

        async def call(request: Any, context: Any) -> Any:
            started, status = perf_counter(), 200
            headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            asked = request_id(headers)
            REQUEST.set(asked)
            self._in_flight += 1
            try:
                if not unlocked and not self._state.authorised(_key(headers)):
                    raise HTTPError(401, "an API key is needed: send metadata authorization: Bearer …")
                return await asyncio.wait_for(answer(request), self._state.options.timeout)
            except asyncio.CancelledError:
                status = 499
                raise
            except TimeoutError:
                error = HTTPError(504, f"no answer from the model within {self._state.options.timeout:g} s")
            except Exception as raised:
                error = as_http(raised, asked)
                if error is not raised and error.status >= 500:
                    log.line("request failed", level="error", error=raised, request_id=asked, path=name)
            finally:
                self._in_flight -= 1
                if name != "ModelInfer" or status == 499:
                    self._state.metrics.answered("", f"grpc_{name}", status, perf_counter() - started)
            code = _CODES.get(error.status, StatusCode.INVALID_ARGUMENT if error.status < 500 else StatusCode.INTERNAL)
            return await context.abort(code, error.message)

        return call

    async def _live(self, _request: Any) -> Any:
        return pb.ServerLiveResponse(live=True)

    async def _ready(self, _request: Any) -> Any:
        return pb.ServerReadyResponse(ready=self._state.ready)

    async def _model_ready(self, request: Any) -> Any:
        return pb.ModelReadyResponse(ready=self._found(request.name, request.version) is not None)

    async def _metadata(self, _request: Any) -> Any:
        return pb.ServerMetadataResponse(name=NAME, version=self._version, extensions=EXTENSIONS)

    async def _model_metadata(self, request: Any) -> Any:
        known = self._need(request.name, request.version).endpoints.metadata()
        answer = pb.ModelMetadataResponse(name=known["name"], versions=known["versions"], platform=known["platform"])
        for kind in ("inputs", "outputs"):
            for tensor in known[kind]:
                getattr(answer, kind).add(**tensor)
        return answer

    async def _infer(self, request: Any) -> Any:
        started, status = perf_counter(), 500
        prepared = self._need(request.model_name, request.model_version)
        about = prepared.endpoints.identity
        try:
            body, tail = read_request(request)
            outputs = await prepared.endpoints.tensors(body, tail)
            status = 200
            return write_response(request, about.name, about.version, outputs)
        except Exception as error:
            status = as_http(error, "").status
            raise
        finally:
            self._state.metrics.answered(about.name, "grpc_infer", status, perf_counter() - started)

    async def _index(self, request: Any) -> Any:
        entries = [entry for entry in self._models.index() if entry["state"] == "READY" or not request.ready]
        return pb.RepositoryIndexResponse(models=[pb.ModelIndex(**entry) for entry in entries])

    async def _load(self, request: Any) -> Any:
        name = request.model_name or request.repository_or_model_name
        await self._models.controlled(name, "load")
        return pb.RepositoryModelResponse(model_name=name, done=True)

    async def _unload(self, request: Any) -> Any:
        name = request.model_name or request.repository_or_model_name
        await self._models.controlled(name, "unload")
        return pb.RepositoryModelResponse(model_name=name, done=True)

    def _found(self, name: str, version: str) -> Prepared | None:
        for prepared in self._models.loaded():
            about = prepared.endpoints.identity
            if about.name == name and version in ("", about.version):
                return prepared
        return None

    def _need(self, name: str, version: str) -> Prepared:
        prepared = self._found(name, version)
        if prepared is None:
            there = ", ".join(f"{p.endpoints.identity.name}:{p.endpoints.identity.version}" for p in self._models.loaded())
            asked = f"{name[:100]!r}" + (f" version {version[:40]!r}" if version else "")
            raise HTTPError(404, f"there is no model {asked}: this server has {there or 'none'}")
        return prepared


def _serialised(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def _key(headers: dict[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _credentials(cert: Path, key: Path) -> Any:
    """Read again at each handshake, so that a renewed certificate is taken."""

    def now() -> Any:
        return grpc.ssl_server_certificate_configuration([(key.read_bytes(), cert.read_bytes())])

    def fetch() -> Any:
        try:
            return now()
        except (OSError, ValueError):
            return None  # what was there before stays

    return grpc.dynamic_ssl_server_credentials(now(), fetch, require_client_authentication=False)
