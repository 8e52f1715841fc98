"""Traces by OpenTelemetry, when an OTLP endpoint is set: one server span for each request to a model.

Configured as every program with OpenTelemetry is: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``), headers,
``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME``. Spans are sent from a thread; a collector that does not answer costs spans,
never requests. Needs the extra ``monitoring``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import inf, log1p
from random import getrandbits
from time import time_ns
from typing import Any, Final

from slipway.serving import log

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracer:
    """Makes spans of requests that were answered."""

    def __init__(self, provider: Any, ids: Ids, part: float = 1.0) -> None:
        """`provider`: an ``opentelemetry.sdk.trace.TracerProvider`` that has its ids from `ids`. `part`: of the requests that have no trace yet, those that its
        sampler takes by their trace id."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("slipway.serving")
        self._extract = TraceContextTextMapPropagator().extract
        self._kind = SpanKind.SERVER
        self._ids = ids
        self._part = part
        self._pass = _until_next(part)
        """New traces to be passed over before the next that is taken."""

    def takes(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may be sampled, asked right before `answered`. Most are not, and what the library does to find that out
        takes as long as a prediction, and drawing a trace id for each a tenth; so it is drawn how many are passed over, which comes
        to the same, and a trace id only where the sampler's own rule, the lower half of the id, takes it."""
        if self._part >= 1 or "traceparent" in headers:
            return True
        if self._pass:
            self._pass -= 1
            return False
        self._pass = _until_next(self._part)
        self._ids.next_trace = getrandbits(64) << 64 | int(_chance() * self._part * (1 << 64))
        return True

    def answered(
        self, name: str, attributes: Mapping[str, str | int], headers: Mapping[str, str], seconds: float, *, failed: bool
    ) -> None:
        """One request, just answered, that took `seconds`. Its parent is in `headers`, if it has one."""
        end = time_ns()
        parent = self._extract({"traceparent": headers.get("traceparent", ""), "tracestate": headers.get("tracestate", "")})
        span = self._tracer.start_span(
            name, context=parent, kind=self._kind, attributes=attributes, start_time=end - int(seconds * 1e9)
        )
        if failed:
            from opentelemetry.trace import Status, StatusCode

            span.set_status(Status(StatusCode.ERROR))
        span.end(end)

    def close(self) -> None:
        """Sends what is there, within a few seconds."""
        self._provider.shutdown()


class Ids:
    """Ids of spans and traces: random ones, but for the trace that was drawn already."""

    def __init__(self) -> None:
        self.next_trace = 0

    def generate_span_id(self) -> int:
        """64 bits."""
        return getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """128 bits."""
        trace, self.next_trace = self.next_trace or getrandbits(128) or 1, 0
        return trace

    def is_trace_id_random(self) -> bool:
        """As W3C's level 2 asks."""
        return True


def _chance() -> float:
    """From 0 up to, and not, 1."""
    return getrandbits(53) / (1 << 53)


def _until_next(part: float) -> float:
    """How many are passed over before one is taken, when each is with probability `part`."""
    if part <= 0:
        return inf
    return 0 if part >= 1 else log1p(-_chance()) // log1p(-part)


def part_of(environment: Mapping[str, str]) -> float:
    """Of new traces, those that the sampler which the environment names will take, if it goes by their ids; else 1."""
    if environment.get("OTEL_TRACES_SAMPLER", "") not in ("traceidratio", "parentbased_traceidratio"):
        return 1.0
    with suppress(ValueError):
        part = float(environment.get("OTEL_TRACES_SAMPLER_ARG", "1"))
        return part if 0 <= part <= 1 else 1.0
    return 1.0


def tracer_from(environment: Mapping[str, str]) -> Tracer | None:
    """A tracer where an endpoint is set; None otherwise, and with a warning when the libraries are missing."""
    endpoint = next((environment[name] for name in _ENDPOINTS if environment.get(name)), "")
    if not endpoint or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        log.line("no traces are sent: install slipway[serving,monitoring]", level="warning", endpoint=endpoint, reason=str(error))
        return None
    name = environment.get("OTEL_SERVICE_NAME") or "slipway"
    ids: Any = Ids()
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False, id_generator=ids)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=5)))
    return Tracer(provider, ids, part_of(environment))
