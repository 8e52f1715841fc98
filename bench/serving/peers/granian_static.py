"""A fixed answer of a prediction's size from Granian, by its own interface (RSGI), as `bench.serving.static` gives from our HTTP layer."""

import os

ANSWER = os.environ["ANSWER"].encode()
HEAD = [("content-type", "application/json")]


async def app(scope, protocol):
    await protocol()  # the body
    protocol.response_bytes(200, HEAD, ANSWER)
