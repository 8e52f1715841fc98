"""MLflow's paths to our calls, and our errors to MLflow's."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from slipway.registry.errors import RegistryError
from slipway.registry.registry import Registry
from slipway.storage.port import StorageError
from slipway.web.blobs import stream
from slipway.web.mlflow.api import Params, RegistryApi
from slipway.web.mlflow.entities import ARTIFACTS
from slipway.web.mlflow.errors import MlflowError

log = logging.getLogger(__name__)
MAX_BODY = 1 << 20
Call = Callable[[RegistryApi, Params], dict[str, Any]]
Api = Callable[[Request], RegistryApi]

_READS: tuple[tuple[str, tuple[str, ...], Call], ...] = (
    ("registered-models/get", ("GET",), RegistryApi.get_registered_model),
    ("registered-models/search", ("GET", "POST"), RegistryApi.search_registered_models),
    ("registered-models/get-latest-versions", ("GET", "POST"), RegistryApi.get_latest_versions),
    ("registered-models/alias", ("GET",), RegistryApi.get_alias),
    ("model-versions/get", ("GET",), RegistryApi.get_model_version),
    ("model-versions/search", ("GET", "POST"), RegistryApi.search_model_versions),
    ("model-versions/get-download-uri", ("GET",), RegistryApi.get_download_uri),
)
_ALL = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def routes(registry: Registry, namespace: str, public_url: str) -> list[BaseRoute]:
    """The routes of the API. `public_url`: under which clients reach this service; ``""``: as each request says."""

    def api(request: Request) -> RegistryApi:
        return RegistryApi(registry, namespace, public_url or str(request.base_url).rstrip("/"))

    made: list[BaseRoute] = []
    for version in ("2.0", "3.0"):
        made += [
            Route(f"/api/{version}/mlflow/{path}", _endpoint(api, call), methods=list(methods)) for path, methods, call in _READS
        ]
    made += [
        Route(ARTIFACTS, _list(api), methods=["GET"]),
        Route(f"{ARTIFACTS}/{{path:path}}", _download(api), methods=["GET"]),
        Route("/api/{path:path}", _refuse, methods=_ALL),
    ]
    return made


def _endpoint(api: Api, call: Call) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(call, api(request), await _params(request)))
        except (MlflowError, RegistryError, StorageError) as error:
            return _answer(error)

    return endpoint


def _list(api: Api) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await run_in_threadpool(api(request).list_artifacts, request.query_params.get("path", "")))
        except (MlflowError, RegistryError, StorageError) as error:
            return _answer(error)

    return endpoint


def _download(api: Api) -> Callable[[Request], Any]:
    def endpoint(request: Request) -> Response:
        """In a thread of its own: the store is read in it."""
        try:
            member = api(request).artifact(request.path_params["path"])
            # Whatever a model's files hold, a browser saves them and shows none of them with our origin.
            headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
            if member.entry is None:
                return Response(member.content, media_type="application/octet-stream", headers=headers)
            return stream(api(request).registry, member.entry, headers)
        except (MlflowError, RegistryError, StorageError) as error:
            return _answer(error)

    return endpoint


async def _refuse(request: Request) -> Response:
    path = request.path_params["path"]
    if request.method not in ("GET", "HEAD") or "/webhooks" in path:
        message = f"{request.method} {path[:200]}: this service only reads; change the registry with slipway"
        return _answer(MlflowError("PERMISSION_DENIED", 403, message))
    message = f"{path[:200]}: not a part of MLflow's API that this service has: it has the model registry's"
    return _answer(MlflowError("ENDPOINT_NOT_FOUND", 404, message))


async def _params(request: Request) -> Params:
    """The query, and a JSON body over it. A name that comes several times is a list."""
    query = request.query_params
    params: dict[str, Any] = {name: query[name] if len(query.getlist(name)) == 1 else query.getlist(name) for name in query}
    if request.method != "POST":
        return params
    if int(request.headers.get("content-length") or 0) > MAX_BODY:
        raise MlflowError("INVALID_PARAMETER_VALUE", 413, f"the body is larger than {MAX_BODY} bytes")
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError) as error:
        raise MlflowError("MALFORMED_REQUEST", 400, "the body is no JSON") from error
    if not isinstance(body, dict):
        raise MlflowError("MALFORMED_REQUEST", 400, "the body is no JSON object")
    return params | body


def _answer(error: Exception) -> Response:
    if isinstance(error, MlflowError):
        return JSONResponse({"error_code": error.code, "message": str(error)}, status_code=error.status)
    if isinstance(error, StorageError):
        log.warning("the store: %s", error)
        return JSONResponse({"error_code": "TEMPORARILY_UNAVAILABLE", "message": str(error)}, status_code=503)
    log.warning("the registry: %s", error)
    return JSONResponse({"error_code": "INTERNAL_ERROR", "message": str(error)}, status_code=500)
