from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from slipway.storage import InvalidKey, open_store
from slipway.storage.files import FileStore
from slipway.storage.keys import parse_s3
from slipway.storage.memory import MemoryStore
from slipway.storage.parallel import in_parallel
from slipway.storage.s3 import S3Connection, S3Store


@pytest.mark.parametrize(
    ("uri", "bucket", "path"),
    [
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket/a/b.parquet", "bucket", "a/b.parquet"),
        ("s3://bucket/a/", "bucket", "a/"),
        ("S3://my.bucket-1/a%20b?c#d", "my.bucket-1", "a%20b?c#d"),
        (" s3://bucket/a \n", "bucket", "a"),
    ],
)
def test_s3_uris_are_taken_apart(uri: str, bucket: str, path: str) -> None:
    location = parse_s3(uri)
    assert (location.bucket, location.path) == (bucket, path)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("bucket/key", "write s3://bucket/key"),
        ("s3:/bucket/key", "write s3://bucket/key"),
        ("http://host/bucket", "not an S3 URI"),
        ("s3a://bucket/key", "Spark's spelling"),
        ("s3://", "names no bucket"),
        ("s3:///key", "names no bucket"),
        ("s3://Bucket/key", "cannot be a bucket's name"),
        ("s3://b/key", "cannot be a bucket's name"),
        ("s3://bucket//key", "empty, '.' or '..' segment"),
        ("s3://bucket/../key", "empty, '.' or '..' segment"),
        ("s3://bucket/a\x00b", "control character"),
    ],
)
def test_what_is_no_s3_uri_is_refused_with_the_fix(uri: str, words: str) -> None:
    with pytest.raises(InvalidKey) as refusal:
        parse_s3(uri)
    assert words in str(refusal.value)


def test_secrets_in_a_uri_are_not_repeated() -> None:
    with pytest.raises(InvalidKey) as refusal:
        open_store("https://user:hunter2@host/bucket")
    assert "hunter2" not in str(refusal.value)


def test_stores_are_made_from_their_uri(tmp_path: Path) -> None:
    s3 = open_store("s3://bucket/some/prefix/")
    assert isinstance(s3, S3Store)
    assert (s3.uri, s3.prefix) == ("s3://bucket/some/prefix", "some/prefix/")
    assert isinstance(open_store(f"file://{tmp_path}"), FileStore)
    assert isinstance(open_store("memory://"), MemoryStore)
    assert open_store("memory://shared-by-name") is open_store("memory://shared-by-name")
    assert open_store("memory://") is not open_store("memory://")


@pytest.mark.parametrize("uri", ["", "registry", "file://host/folder", "file:relative", "ftp://host/x"])
def test_what_names_no_store_is_refused(uri: str) -> None:
    with pytest.raises(InvalidKey):
        open_store(uri)


@pytest.mark.parametrize(
    ("endpoint", "checksums", "style"),
    [
        (None, "when_supported", None),
        ("https://s3.eu-central-1.amazonaws.com", "when_supported", None),
        ("http://seaweedfs:8333", "when_required", "path"),
        ("https://minio.example.com", "when_required", "path"),
    ],
)
def test_stores_other_than_aws_get_plain_requests(
    endpoint: str | None, checksums: str, style: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    store = open_store("s3://bucket/x")
    assert isinstance(store, S3Store)
    config = store.connection.client.meta.config
    assert config.request_checksum_calculation == config.response_checksum_validation == checksums  # type: ignore[attr-defined]
    assert ((config.s3 or {}).get("addressing_style")) == style  # type: ignore[attr-defined]


def test_stores_of_one_connection_share_its_client() -> None:
    from slipway.storage import S3Options, open_stores

    stores = open_stores(S3Options(endpoint_url="http://127.0.0.1:1"))
    one, other = stores("bucket-a"), stores("bucket-b")
    assert isinstance(one, S3Store)
    assert isinstance(other, S3Store)
    assert one.connection is other.connection
    assert isinstance(one.connection, S3Connection)


@pytest.mark.parametrize("module", ["slipway.storage", "slipway.registry.records", "slipway.registry", "slipway.sources.pinned"])
def test_boto3_is_imported_only_when_a_client_is_needed(module: str) -> None:
    code = f"import sys, {module}; sys.exit(int(any(n in sys.modules for n in ('boto3', 'botocore', 'dulwich', 'httpx'))))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": "operator"}).returncode == 0


def test_parallel_calls_keep_their_order_and_raise_the_first_error() -> None:
    assert in_parallel(lambda n: n * 2, range(50), 8) == [n * 2 for n in range(50)]
    assert in_parallel(str, [], 8) == []
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda n: 1 // n, [2, 1, 0, 3], 4)
