"""Traces by OpenTelemetry, when an OTLP endpoint is set: one server span for each request to a model.

Configured as every program with OpenTelemetry is: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``), headers,
``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME``. Spans are sent from a thread; a collector that does not answer costs spans,
never requests. Needs the extra ``monitoring``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf, log1p
from random import getrandbits
from time import time_ns
from typing import Any, Final

from slipway.serving import log

_SCOPE: Final = "slipway.serving"
_PARENT: Final = "traceparent"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Tracer:
    """Makes spans of requests that were answered."""

    def __init__(self, provider: Any, processor: Any, part: float = 1.0) -> None:
        """`provider`: an ``opentelemetry.sdk.trace.TracerProvider``, `processor`: its span processor. `part`: of the requests that
        have no trace yet, those that its sampler takes by their trace id."""
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._span, self._context, self._sampled = ReadableSpan, SpanContext, TraceFlags(TraceFlags.SAMPLED)
        self._done, self._failed = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
        self._provider = provider
        self._processor = processor
        self._tracer = provider.get_tracer(_SCOPE)
        self._scope = InstrumentationScope(_SCOPE)
        self._resource = _lasting(provider.resource)
        self._extract = TraceContextTextMapPropagator().extract
        self._kind = SpanKind.SERVER
        self._part = part
        self._bound = int(part * (1 << 64))
        self._pass = _until_next(part)
        """New traces to be passed over before the next that is taken."""

    def takes(self, headers: Mapping[str, str]) -> bool:
        """Whether a request may be sampled, asked right before `answered`. Most are not, and what the library does to find that out
        takes as long as a prediction; so it is drawn how many are passed over, which comes to the same."""
        if self._part >= 1 or _PARENT in headers:
            return True
        if self._pass:
            self._pass -= 1
            return False
        self._pass = _until_next(self._part)
        return True

    def taken(self, requests: Sequence[Mapping[str, str]]) -> list[int]:
        """Which of several requests may be sampled, by their place; their headers are given."""
        if self._pass >= len(requests) and not any(_PARENT in headers for headers in requests):
            self._pass -= len(requests)
            return []
        return [at for at, headers in enumerate(requests) if self.takes(headers)]

    def answered(
        self, name: str, attributes: Mapping[str, str | int], headers: Mapping[str, str], seconds: float, *, failed: bool
    ) -> None:
        """One request, just answered, that took `seconds`. Its parent is in `headers`, if it has one."""
        end = time_ns()
        start = end - int(seconds * 1e9)
        if self._part < 1 and _PARENT not in headers:
            self._processor.on_end(self._drawn(name, attributes, start, end, failed=failed))
            return
        parent = self._extract({_PARENT: headers.get(_PARENT, ""), "tracestate": headers.get("tracestate", "")})
        span = self._tracer.start_span(name, context=parent, kind=self._kind, attributes=attributes, start_time=start)
        if failed:
            span.set_status(self._failed)
        span.end(end)

    def _drawn(self, name: str, attributes: Mapping[str, str | int], start: int, end: int, *, failed: bool) -> Any:
        """The span of a new trace that was taken already: as the library makes it, without asking its sampler again, in a
        twentieth of the time. The trace's id is one that the sampler's rule, the lower half of the id, takes as well."""
        trace = (getrandbits(64) or 1) << 64 | (getrandbits(64) * self._bound >> 64)
        return self._span(
            name, self._context(trace, getrandbits(64) or 1, is_remote=False, trace_flags=self._sampled),
            resource=self._resource, attributes=attributes, kind=self._kind, status=self._failed if failed else self._done,
            start_time=start, end_time=end, instrumentation_scope=self._scope,
        )  # fmt: skip

    def close(self) -> None:
        """Sends what is there, within a few seconds."""
        self._provider.shutdown()


def _lasting(resource: Any) -> Any:
    """`resource`, which the exporter looks up for each span, without its being written out as JSON each time for that."""
    from opentelemetry.sdk.resources import Resource

    class Lasting(Resource):
        __hash__ = object.__hash__

        def __eq__(self, other: object) -> bool:
            return self is other

    return Lasting(resource.attributes, resource.schema_url)


def _chance() -> float:
    """From 0 up to, and not, 1."""
    return getrandbits(53) / (1 << 53)


def _until_next(part: float) -> float:
    """How many are passed over before one is taken, when each is with probability `part`."""
    if part <= 0:
        return inf
    return 0 if part >= 1 else log1p(-_chance()) // log1p(-part)


def part_of(environment: Mapping[str, str]) -> float:
    """Of new traces, those that the sampler which the environment names will take, if it goes by their ids; else 1. Where limits are
    set to what a span may hold, only the library keeps to them: 1 as well."""
    if any(name.startswith("OTEL_") and name.endswith("_LIMIT") for name in environment):
        return 1.0
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
    provider = TracerProvider(resource=Resource.create({"service.name": name}), shutdown_on_exit=False)
    processor = BatchSpanProcessor(OTLPSpanExporter(timeout=5))
    provider.add_span_processor(processor)
    return Tracer(provider, processor, part_of(environment))
