"""What connections to S3 have in common."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.storage import S3Options
from slipway.storage.s3 import S3Connection
from slipway.storage.s3_quick import Ask


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK", "AWS_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(name, value)


def client(**options: Any) -> Any:
    return S3Connection(S3Options(**options)).client


def test_the_sdks_descriptions_are_held_once_and_credentials_by_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator with data in another bucket than its registry would hold them twice: 12 MB more."""
    one = client(endpoint_url="http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")
    two = client(endpoint_url="http://127.0.0.1:2")
    assert one._loader is two._loader
    assert one.meta.endpoint_url != two.meta.endpoint_url
    assert [c._request_signer._credentials.access_key for c in (one, two)] == ["AK", "OTHER"]


def test_a_profile_that_is_not_there_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from slipway.storage import Denied

    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Denied, match="nobody"):
        client(profile="nobody")


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://store", "store"),
        ("http://store:80", "store"),
        ("http://Store:8333/", "store:8333"),
        ("http://[::1]:8333", "[::1]:8333"),
    ],
)
def test_quick_requests_name_the_host_that_was_signed(endpoint: str, host: str) -> None:
    from botocore.awsrequest import AWSRequest

    quick = S3Connection(S3Options(endpoint_url=endpoint)).quick
    assert quick is not None
    ask = Ask("GET", "bucket", "key")
    credentials = quick._signer._credentials.get_frozen_credentials()
    sent = quick._raw(ask, credentials).head.decode()
    assert f"\r\nHost: {host}\r\n" in sent
    from botocore.auth import S3SigV4Auth

    signed = S3SigV4Auth(credentials, "s3", "eu-central-1").headers_to_sign(AWSRequest("GET", quick._base + ask.path))
    assert signed["host"] == host
