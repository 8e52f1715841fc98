"""Traces by OpenTelemetry, when an OTLP endpoint is set: one server span for each request to a model.

Configured as every program with OpenTelemetry is: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``), headers,
``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME``. Spans are sent from a thread; a collector that does not answer costs spans,
never requests. Needs the extra ``monitoring``.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any, Final

from slipway.serving import log

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracer:
    """Makes spans of requests that were answered."""

    def __init__(self, provider: Any) -> None:
        """`provider`: an ``opentelemetry.sdk.trace.TracerProvider``."""
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("slipway.serving")
        self._extract = TraceContextTextMapPropagator().extract
        self._kind = SpanKind.SERVER

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
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=5)))
    return Tracer(provider)
