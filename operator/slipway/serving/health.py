"""What the server answers from its first moment: health, its own metadata, and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import orjson

from slipway.serving.app import JSON, Get, Route
from slipway.serving.metrics import Metrics

NAME: Final = "slipway"
EXTENSIONS: Final = ("binary_tensor_data", "model_repository")
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class State(Protocol):
    """How the server stands."""

    ready: bool
    why: str
    """Why it is not ready."""
    metrics: Metrics


def health_routes(state: State, version: Callable[[], str]) -> dict[str, Route]:
    """By path. `version`: that of the server, asked when somebody wants to know."""

    def metadata() -> tuple[int, str, bytes]:
        return 200, JSON, orjson.dumps({"name": NAME, "version": version(), "extensions": EXTENSIONS})

    def ready() -> tuple[int, str, bytes]:
        if state.ready:
            return 200, JSON, b'{"ready":true}'
        return 503, JSON, orjson.dumps({"ready": False, "reason": state.why})

    return {
        "/v2": Get("v2_server", metadata),
        "/v2/health/live": Get("v2_live", lambda: (200, JSON, b'{"live":true}'), open=True),
        "/v2/health/ready": Get("v2_ready", ready, open=True),
        "/metrics": Get("metrics", lambda: (200, METRICS_TYPE, state.metrics.render()), open=True),
    }
