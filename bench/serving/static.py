"""The ceiling: our HTTP layer, routes and metrics with an answer that is always the same, of a prediction's size."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from slipway.serving.app import App, Direct, Get
from slipway.serving.http.exchange import JSON, Exchange
from slipway.serving.http.limits import Limits
from slipway.serving.http.listener import Listener, bound_socket
from slipway.serving.metrics import Metrics

ANSWER = (
    b'{"model_name":"logistic","model_version":"local","outputs":[{"name":"label","datatype":"INT64","shape":[1],"data":[0]},'
    b'{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[0.99999994,1.1920929e-7]}]}'
)


def answer(exchange: Exchange) -> None:
    exchange.reply(200, ANSWER)


async def main(port: int) -> None:
    app = App(Metrics())
    app.routes = {"/static": Direct("static", answer), "/ready": Get("ready", lambda: (200, JSON, b"{}"))}
    await Listener(app, Limits()).open(bound_socket("127.0.0.1", port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
