"""The server against its own OpenAPI document: no 5xx, and answers that are as described."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.fakes.serving import Served, infer_body


def test_requests_from_its_own_document(both: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{both.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    # loading and unloading would change the server that other tests ask
    operations = [operation for operation in operations if not operation.path.startswith("/v2/repository/models/")]
    assert len(operations) > 10
    for operation in operations:
        _ask(operation, GenerationMode.POSITIVE)
        if operation.method.upper() == "POST":  # a request without a body cannot be a wrong one
            _ask(operation, GenerationMode.NEGATIVE)
    assert both.post("/v2/models/echo/infer", infer_body([[1, 2, 3]])).status_code == 200


def _ask(operation: Any, mode: GenerationMode) -> None:
    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(checks=[not_a_server_error, status_code_conformance, response_schema_conformance])

    ask()
