"""The hook in the way of a request: who asked (`REQUEST`), and what a run of the model took and gave (`Observer`)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextvars import ContextVar
from itertools import count
from typing import Any, Final, Protocol

from slipway.serving.tensors import Array

REQUEST: Final[ContextVar[str]] = ContextVar("slipway_request", default="")
"""The id of the request that this task answers; empty outside of one. Every protocol's entry sets it."""

Observation = tuple[str, Sequence[Array], Sequence[Array]]
"""One answered request: its id, the model's inputs and its outputs, each in the signature's order, rows first."""

Call = tuple[Sequence[Array], Sequence[Array]]
"""One run of the model that application code asked for: inputs and outputs in the signature's order."""

CALLS: Final[ContextVar[list[Call] | None]] = ContextVar("slipway_calls", default=None)
"""Where runs that application code asks for are put down while its `predict` is watched; None: they are not."""

_GIVEN: Final = re.compile(r"[\x21-\x7e]{1,128}")
_TRACE: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}.*")
_process: Final = secrets.token_hex(6)
_numbers: Final = count(1)


class Observer(Protocol):
    """Watches what a model is asked and what it answers."""

    def observe(self, batch: Sequence[Observation]) -> None:
        """Called once for each executed batch, on the event loop's thread, after its requests were answered. Must not
        raise, and must return at once: what takes long is sampled or left to a thread."""

    def observe_rows(self, requests: Sequence[str], inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """The same for a batch of requests of one row each, `requests` their ids, whose arrays are still stacked."""


def request_id(headers: Any) -> str:
    """The id of a request: the client's ``x-request-id`` if it is 1 to 128 printable ASCII characters, else the trace id
    of its W3C ``traceparent``, else a new one. Never holds blanks or control characters: it goes into logs and headers."""
    given = headers.get("x-request-id")
    if given is not None and _GIVEN.fullmatch(given):
        return str(given)
    trace = headers.get("traceparent")
    if trace is not None and (found := _TRACE.fullmatch(trace)):
        return found.group(1)
    return f"{_process}{next(_numbers):010x}"
