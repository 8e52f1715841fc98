"""How what went wrong is answered. What it says of the server's inside is kept to the log."""

from __future__ import annotations

from typing import Final

import orjson

from slipway.serving import log
from slipway.serving.errors import BadInput, HTTPError, InputRefused, ModelFailed
from slipway.serving.http.exchange import Exchange
from slipway.serving.service import ApplicationFailed

RETRY: Final = (("retry-after", "1"),)


def fail(exchange: Exchange, error: BaseException) -> None:
    """Answers with an error, and logs what is the server's own fault."""
    known = as_http(error, exchange.id)
    if known is not error and known.status >= 500 and not exchange.gone:
        log.line("request failed", level="error", error=error, request_id=exchange.id, path=exchange.path, status=known.status)
    answer_error(exchange, known)


def answer_error(exchange: Exchange, known: HTTPError) -> None:
    """Answers ``{"error": message}``."""
    exchange.reply(known.status, orjson.dumps({"error": known.message}), headers=known.headers)


def as_http(error: BaseException, asked: str) -> HTTPError:
    """How an exception is answered; what it says of our inside is kept to the log. `asked`: the request's id."""
    if isinstance(error, HTTPError):
        return error
    if isinstance(error, InputRefused):
        return BadInput(f"the model refuses these inputs: {error}")
    if isinstance(error, ModelFailed):
        return HTTPError(500, f"the model failed on these inputs (request {asked}, see the server's log)")
    if isinstance(error, ApplicationFailed):
        return HTTPError(500, f"{error} (request {asked}, see the server's log)")
    if isinstance(error, MemoryError):
        return HTTPError(503, "not enough memory for this request: send fewer rows", headers=RETRY)
    return HTTPError(500, f"internal error (request {asked}, see the server's log)")
