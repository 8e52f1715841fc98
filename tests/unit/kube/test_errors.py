"""Answers of the API server, as the errors that the driver tells apart."""

from __future__ import annotations

import json

import pytest

from slipway.kube.errors import error_of, is_absent_object
from slipway.kube.port import Conflict, KubeError, Rejected, Unavailable


def body(message: str = "words", reason: str = "", **details: object) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "details": details}).encode()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Rejected),
        (401, Rejected),
        (403, Rejected),
        (404, Rejected),
        (405, Rejected),
        (409, Conflict),
        (415, Rejected),
        (422, Rejected),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
def test_each_code_has_its_error_with_the_call_and_the_servers_words(code: int, kind: type[KubeError]) -> None:
    error = error_of("apply Job ns/train", code, body("exceeded quota"), {})
    assert type(error) is kind
    assert "apply Job ns/train" in str(error)
    assert "exceeded quota" in str(error)


def test_a_schema_error_is_not_tried_again_although_it_comes_as_500() -> None:
    error = error_of("apply", 500, body(".spec.tmplate: field not declared in schema"), {})
    assert isinstance(error, Rejected)


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        ({"retry-after": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({"retry-after": "-1"}, {}, None),
        ({"retry-after": "999999"}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_wish_to_be_left_alone_is_read(headers: dict[str, str], details: dict[str, object], expected: float | None) -> None:
    error = error_of("list", 429, body(**details), headers)
    assert isinstance(error, Unavailable)
    assert error.retry_after == expected


@pytest.mark.parametrize("junk", [b"", b"<html>bad gateway</html>", b"[]", b'"text"', b"\xff\xfe", b"null"])
def test_answers_that_are_no_status_are_survived(junk: bytes) -> None:
    assert isinstance(error_of("get", 502, junk, {}), Unavailable)
    assert isinstance(error_of("get", 404, junk, {}), Rejected)
    assert not is_absent_object(junk)


def test_a_namespace_that_goes_away_is_told_from_other_refusals() -> None:
    going = body("being terminated", "Forbidden", causes=[{"reason": "NamespaceTerminating"}])
    gone = body('namespaces "x" not found', "NotFound", kind="namespaces", name="x")
    quota = body("exceeded quota", "Forbidden", name="train", kind="jobs")
    for answer, code, expected in ((going, 403, True), (gone, 404, True), (quota, 403, False)):
        error = error_of("apply", code, answer, {})
        assert isinstance(error, Rejected)
        assert error.namespace_gone is expected


def test_an_absent_object_is_told_from_an_absent_kind_and_namespace() -> None:
    assert is_absent_object(body("not found", "NotFound", name="one", kind="configmaps"))
    assert not is_absent_object(b"404 page not found\n")
    assert not is_absent_object(body("not found", "NotFound", name="x", kind="namespaces"))
