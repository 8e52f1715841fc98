"""The application: routes, errors as pages, headers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from slipway.provenance.dsse import load_public_keys
from slipway.registry.errors import InvalidName, NotInRegistry, RegistryError
from slipway.registry.registry import Registry
from slipway.storage.port import StorageError
from slipway.web.features import FeaturePages
from slipway.web.mlflow.routes import routes as mlflow_routes
from slipway.web.pages import NoSuchPage, Pages
from slipway.web.security import SecurityHeaders
from slipway.web.settings import WebOptions

log = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"
_MODEL = "/models/{namespace}/{model}"
_VERSION = f"{_MODEL}/versions/{{version}}"
_VIEW = "/features/{namespace}/{name}"


def application(registry: Registry, options: WebOptions, public_keys: str = "") -> Starlette:
    """The whole service over `registry`. Raises KeyInvalid for `public_keys` (PEM) that are none."""
    pages = Pages(registry, title=options.title, keys=load_public_keys(public_keys))
    handler = _on_error(pages)
    return Starlette(
        routes=[
            Route("/healthz", lambda _request: PlainTextResponse("ok\n")),
            Route("/readyz", _ready(registry)),
            *mlflow_routes(registry, options.namespace, options.public_url.rstrip("/")),
            *_page_routes(pages),
            *_feature_routes(FeaturePages(pages)),
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(GZipMiddleware, minimum_size=2000)],
        exception_handlers=dict.fromkeys((HTTPException, RegistryError, StorageError, NoSuchPage), handler),
    )


def _page_routes(pages: Pages) -> list[BaseRoute]:
    return [
        Route("/", pages.home),
        Route("/search", pages.search),
        Route("/deployments", pages.deployments),
        Route(f"{_MODEL}@{{alias}}", pages.alias),
        Route(_MODEL, pages.model),
        Route(f"{_MODEL}/compare", pages.compare),
        Route(_VERSION, pages.version),
        Route(f"{_VERSION}/reports/{{path:path}}", pages.report),
        Route(f"{_VERSION}/logs/{{path:path}}", pages.log),
        Route(f"{_VERSION}/raw/{{path:path}}", pages.raw),
        Route(f"{_VERSION}/files/{{path:path}}", pages.file),
    ]


def _feature_routes(pages: FeaturePages) -> list[BaseRoute]:
    return [
        Route("/features", pages.home),
        Route(_VIEW, pages.view),
        Route(f"{_VIEW}/snapshots", pages.snapshots),
        Route(f"{_VIEW}/snapshots/{{number}}", pages.snapshot),
    ]


def _ready(registry: Registry) -> Callable[[Request], Response]:
    def ready(_request: Request) -> Response:
        """Whether the store answers."""
        try:
            next(registry.store.list("models/", limit=1), None)
        except StorageError as error:
            return PlainTextResponse(f"the store: {error}\n", status_code=503)
        return PlainTextResponse("ok\n")

    return ready


def _on_error(pages: Pages) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status, words = _explained(error)
        if status >= 500:
            log.warning("%s: %s", request.url.path, error)
        return pages.render(request, "error.html", status=status, code=status, words=words)

    return answer


def _explained(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        return error.status_code, error.detail
    if isinstance(error, NotInRegistry | NoSuchPage | InvalidName):
        return 404, str(error)
    if isinstance(error, StorageError):
        return 503, f"The store does not answer as it should: {error}"
    return 500, str(error)
