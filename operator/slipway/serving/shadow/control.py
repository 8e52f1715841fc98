"""``POST /slipway/shadow``: the operator says which candidate gets copies, of how many requests, and for how long.

Where copies go is not for the caller to say: the server's own options name it, up to the digits of a candidate. What is said
ends by itself, so that a server that nobody speaks to any more copies nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import orjson

from slipway.serving.app import App, Post, Route
from slipway.serving.errors import BadInput
from slipway.serving.http.exchange import Exchange, Wire
from slipway.serving.protocol.body import read_object
from slipway.serving.shadow.mirror import Copy, Mirror

PATH: Final = "/slipway/shadow"
PLACEHOLDER: Final = "{revision}"
DIGITS: Final = 8
MAX_SECONDS: Final = 3600
_REVISION: Final = re.compile(r"[0-9a-f]{8,64}")
_FORWARDED: Final = ("content-type", "content-encoding", "inference-header-content-length", "authorization", "x-api-key")
_PATHS: Final = {"v2_infer": "/v2/models/{}/infer", "v1_predict": "/v1/models/{}:predict", "predict": "/predict/{}"}
"""Endpoints whose requests are copied, and where the candidate has them: without a version, as it has another one."""
_LENGTH: Final = re.compile(rb"\r\ninference-header-content-length: (\d+)\r\n")


class Shadow:
    """What a server copies. `url` is where to, with ``{revision}`` for a candidate's first eight digits. While nothing is copied,
    `app.shadow` is None."""

    def __init__(self, app: App, url: str) -> None:
        self._app = app
        self._url = url
        self._mirror: Mirror | None = None
        self._percent = 0
        self._owed = 0
        self._until = 0.0

    def routes(self) -> dict[str, Route]:
        """The endpoint. It needs no API key: all that it can do is to have this deployment's own candidate asked."""
        return {PATH: Post("shadow", self.tell, open=True)}

    async def tell(self, body: bytes) -> bytes:
        """``{"candidate": "3f9a…", "percent": 25, "seconds": 60, "tolerance": 0.01}``. Raises BadInput."""
        said = read_object(body)
        candidate = said.get("candidate")
        if not isinstance(candidate, str) or not _REVISION.fullmatch(candidate):
            raise BadInput("candidate: a revision belongs here, 8 to 64 digits 0-9 a-f")
        percent = int(_number(said, "percent", 0, 100))
        seconds = _number(said, "seconds", 1, MAX_SECONDS)
        tolerance = _number(said, "tolerance", 0, 1e9, 0.01)
        if self._mirror is None or self._mirror.candidate != candidate:
            if self._mirror is not None:
                self._mirror.stop()
            self._mirror = Mirror(candidate, self._url.replace(PLACEHOLDER, candidate[:DIGITS]), tolerance)
        self._mirror.tolerance = tolerance
        self._percent, self._until = percent, monotonic() + seconds
        self._app.shadow = self if percent else None
        return orjson.dumps({"candidate": candidate, "percent": percent})

    def watch(self, exchange: Exchange, endpoint: str, model: str) -> None:
        """Has the answer of `exchange` copied, when it is one of the per cent. Called before it is answered."""
        form = _PATHS.get(endpoint)
        if form is None:
            return
        if monotonic() > self._until:
            self._app.shadow = None
            return
        self._owed += self._percent
        if self._owed >= 100:
            self._owed -= 100
            exchange.wire = _Tee(exchange.wire, self, form.format(quote(model)))

    def answered(self, exchange: Exchange, path: str, head: bytes, body: bytes) -> None:
        """The user has been sent this answer."""
        mirror = self._mirror
        if mirror is None or exchange.status != 200:
            return
        headers = {name: exchange.headers[name] for name in _FORWARDED if name in exchange.headers}
        headers["x-request-id"] = exchange.id
        length = _LENGTH.search(head)
        mirror.offer(Copy(path, headers, exchange.body, body, int(length[1]) if length else None))

    def families(self) -> Iterator[Any]:
        """For Prometheus: of the candidate that was named last."""
        if self._mirror is not None:
            yield from self._mirror.families()


class _Tee:
    """The wire of one exchange, which lets `shadow` know of the answer after it was sent."""

    __slots__ = ("_path", "_shadow", "_wire")

    def __init__(self, wire: Wire, shadow: Shadow, path: str) -> None:
        self._wire = wire
        self._shadow = shadow
        self._path = path

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """As the protocol says."""
        self._wire.send(exchange, head, body)
        with suppress(Exception):  # who answers must not see a copy fail: others are answered in the same turn
            self._shadow.answered(exchange, self._path, head, body)

    @property
    def peer(self) -> str:
        """As the protocol says."""
        return self._wire.peer


def _number(said: dict[str, Any], field: str, least: float, most: float, default: float | None = None) -> float:
    value = said.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise BadInput(f"{field}: a number from {least:g} to {most:g} belongs here")
    return float(value)
