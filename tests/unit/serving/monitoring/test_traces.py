"""Traces: which requests have one."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from slipway.serving.monitoring.traces import Ids, Tracer, part_of

CALLER = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
UNSAMPLED = {"traceparent": f"00-{'ef' * 16}-{'cd' * 8}-00"}


def traced(part: float, requests: list[dict[str, str]]) -> tuple[int, InMemorySpanExporter]:
    """How many of `requests` went to the library, and what it exports."""
    exporter, ids = InMemorySpanExporter(), Ids()
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(part), id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer, asked = Tracer(provider, ids, part), 0
    for headers in requests:
        if tracer.takes(headers):
            asked += 1
            tracer.answered("POST v2_infer", {"slipway.model": "m"}, headers, 0.001, failed=False)
    tracer.close()
    return asked, exporter


def test_the_library_is_asked_about_those_that_it_will_take() -> None:
    asked, exporter = traced(0.25, [{}] * 4000)
    spans = exporter.get_finished_spans()
    assert len(spans) == asked
    assert 800 < asked < 1200
    assert len({span.context.trace_id for span in spans}) == asked


def test_a_caller_that_traces_is_followed_and_one_that_does_not_is_not() -> None:
    _, exporter = traced(0.0, [{}, CALLER, UNSAMPLED, CALLER])
    spans = exporter.get_finished_spans()
    assert [f"{span.context.trace_id:032x}" for span in spans] == ["ab" * 16] * 2


@pytest.mark.parametrize(
    ("sampler", "argument", "part"),
    [
        ("traceidratio", "0.1", 0.1),
        ("parentbased_traceidratio", "0", 0.0),
        ("parentbased_traceidratio", None, 1.0),
        ("parentbased_traceidratio", "many", 1.0),
        ("parentbased_traceidratio", "7", 1.0),
        ("always_on", "0.1", 1.0),
        (None, "0.1", 1.0),
    ],
)
def test_the_part_is_what_the_environment_says(sampler: str | None, argument: str | None, part: float) -> None:
    given = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert part_of({name: value for name, value in given.items() if value is not None}) == part
