"""Traces: which requests have one."""

from __future__ import annotations

import orjson
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

from slipway.serving.monitoring.traces import Tracer, part_of

CALLER = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
UNSAMPLED = {"traceparent": f"00-{'ef' * 16}-{'cd' * 8}-00"}


def traced(part: float, requests: list[dict[str, str]]) -> tuple[int, InMemorySpanExporter]:
    """How many of `requests` went to the library, and what it exports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBasedTraceIdRatio(part), shutdown_on_exit=False)
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    tracer, asked = Tracer(provider, processor, part), 0
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


def test_the_sampler_would_have_taken_the_same_ones_and_made_the_same_of_them() -> None:
    """A span that is made without asking the library again differs in nothing but ids and times."""
    _, drawn = traced(0.25, [{}] * 200)
    _, asked = traced(1.0, [{}])
    (alike,) = asked.get_finished_spans()
    for span in drawn.get_finished_spans():
        trace = span.context.trace_id
        assert ParentBasedTraceIdRatio(0.25).should_sample(None, trace, "").decision.is_sampled()
        unlike = {"trace_id", "span_id", "start_time", "end_time"}
        told, expected = (orjson.loads(one.to_json()) for one in (span, alike))
        for one in (told, expected):
            one["context"] = {key: value for key, value in one["context"].items() if key not in unlike}
        assert {k: v for k, v in told.items() if k not in unlike} == {k: v for k, v in expected.items() if k not in unlike}
        assert span.end_time - span.start_time == 1_000_000
        assert encode_spans([span]).resource_spans[0].resource == encode_spans([alike]).resource_spans[0].resource


def test_several_are_looked_at_together_as_one_by_one() -> None:
    tracer = Tracer(TracerProvider(shutdown_on_exit=False), SimpleSpanProcessor(InMemorySpanExporter()), 0.1)
    taken = [len(tracer.taken([{}] * 16)) for _ in range(1000)]
    assert 1300 < sum(taken) < 1900
    assert tracer.taken([{}, CALLER, {}, {}]).count(1) == 1
    assert Tracer(TracerProvider(shutdown_on_exit=False), None, 1.0).taken([{}, {}]) == [0, 1]


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
    given_limit = {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "9"}
    assert part_of({name: value for name, value in (given | given_limit).items() if value is not None}) == 1.0
    assert part_of({name: value for name, value in given.items() if value is not None}) == part
