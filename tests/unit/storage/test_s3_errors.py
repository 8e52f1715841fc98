"""boto3's many errors as the few of the port, made by boto3 itself from scripted answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
    SSLError,
)
from botocore.stub import Stubber

from slipway.storage import (
    Denied,
    NoBucket,
    NotFound,
    OutcomeUnknown,
    Precondition,
    S3Options,
    StorageError,
    Unavailable,
)
from slipway.storage.s3 import S3Store
from slipway.storage.s3_errors import Failure, translate

URL = "http://store:8333"


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> tuple[S3Store, Stubber]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    store = S3Store.at("s3://bucket/pre", S3Options(endpoint_url=URL, region="us-east-1"))
    stubber = Stubber(store.connection.client)
    stubber.activate()
    return store, stubber


@pytest.mark.parametrize(
    ("code", "status", "error", "words"),
    [
        ("NoSuchKey", 404, NotFound, "no object s3://bucket/pre/a at http://store:8333"),
        ("NoSuchBucket", 404, NoBucket, "no bucket 'bucket': create it"),
        ("AccessDenied", 403, Denied, "lack s3:GetObject there .*or the object does not exist"),
        ("ExpiredToken", 400, Denied, "session token has expired: get new"),
        ("RequestTimeTooSkewed", 403, Denied, "clock is wrong"),
        ("PermanentRedirect", 301, Denied, "another region"),
        ("PreconditionFailed", 412, Precondition, "not as expected"),
        ("SlowDown", 503, Unavailable, "503 SlowDown"),
        ("TooManyRequests", 429, Unavailable, "429"),
        ("InternalError", 500, Unavailable, "500"),
        ("InsufficientStorage", 507, Unavailable, "it seems to be full"),
        ("OperationAborted", 409, Unavailable, "409"),
        ("NotImplemented", 501, StorageError, "does not know this kind of request"),
        ("XAmzContentSHA256Mismatch", 400, StorageError, "when_required_checksums"),
    ],
)
def test_answers_to_a_read(stubbed: tuple[S3Store, Stubber], code: str, status: int, error: type[Exception], words: str) -> None:
    store, stubber = stubbed
    stubber.add_client_error("get_object", code, "said so", status)
    with pytest.raises(error, match=words) as raised:
        store.get("a")
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("PreconditionFailed", 412, Precondition),
        ("ConditionalRequestConflict", 409, Precondition),
        ("NoSuchKey", 404, Precondition),
        ("InternalError", 500, OutcomeUnknown),
        ("SlowDown", 503, OutcomeUnknown),
        ("AccessDenied", 403, Denied),
        ("NoSuchBucket", 404, NoBucket),
    ],
)
def test_answers_to_a_conditional_write(stubbed: tuple[S3Store, Stubber], code: str, status: int, error: type[Exception]) -> None:
    store, stubber = stubbed
    for call in (lambda: store.put_if_absent("a", b""), lambda: store.put_if_match("a", b"", "e")):
        stubber.add_client_error("put_object", code, "said so", status)
        with pytest.raises(error) as raised:
            call()
        assert type(raised.value) is error


def failure(**changes: Any) -> Failure:
    fields = {"action": "read", "bucket": "bucket", "key": "a", "permission": "s3:GetObject", "conditional": False}
    return Failure(**{**fields, "options": S3Options(endpoint_url=URL), **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("raised", "error", "words"),
    [
        (EndpointConnectionError(endpoint_url=URL), Unavailable, "is it up"),
        (ConnectTimeoutError(endpoint_url=URL), Unavailable, "is it up"),
        (ReadTimeoutError(endpoint_url=URL), Unavailable, "no answer within 30 s"),
        (SSLError(endpoint_url=URL, error="self-signed"), Unavailable, "AWS_CA_BUNDLE"),
        (ConnectionResetError("reset by peer"), Unavailable, "reset by peer"),
        (TimeoutError(), Unavailable, "TimeoutError"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), Unavailable, "1 read"),
        (NoCredentialsError(), Denied, "AWS_ACCESS_KEY_ID"),
        (CredentialRetrievalError(provider="sts", error_msg="down"), Unavailable, "down"),
        (ParamValidationError(report="bad"), StorageError, "bad"),
    ],
)
def test_failures_without_an_answer(raised: Exception, error: type[Exception], words: str) -> None:
    translated = translate(raised, failure())
    assert type(translated) is error
    assert words in str(translated)


def test_a_lost_answer_to_a_conditional_write_leaves_its_outcome_open() -> None:
    translated = translate(ReadTimeoutError(endpoint_url=URL), failure(conditional=True))
    assert type(translated) is OutcomeUnknown
    assert "not known" in str(translated)


def test_what_is_not_of_boto3_is_left_alone() -> None:
    assert translate(KeyError("bug"), failure()) is None


def test_a_failed_upload_in_parts_says_what_failed(stubbed: tuple[S3Store, Stubber], tmp_path: Path) -> None:
    store, _ = stubbed
    stubber = Stubber(store.connection.bulk)
    stubber.activate()
    path = tmp_path / "large"
    with path.open("wb") as writer:
        writer.truncate(20 << 20)
    stubber.add_response("list_multipart_uploads", {})
    stubber.add_client_error("create_multipart_upload", "AccessDenied", "no", 403)
    with pytest.raises(Denied, match="s3:PutObject"):
        store.put_file("a", path)
