"""What connections to S3 have in common."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.storage import S3Options
from slipway.storage.s3 import S3Connection


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
