"""What a real S3 server refuses, in words that a person can act on."""

from __future__ import annotations

import pytest

from slipway.storage import Denied, NoBucket, ObjectStore, StorageError, Unavailable, open_store
from slipway.storage.probe import probe
from tests.fakes.stores import ADMIN, BUCKET, READER, Weed, credentials, unused_port


def log_in(monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str]) -> None:
    for name, value in credentials(pair).items():
        monkeypatch.setenv(name, value)


def test_a_missing_bucket_is_named_and_never_taken_for_a_missing_object(seaweed: Weed) -> None:
    store = open_store("s3://no-such-bucket/prefix", seaweed.options())
    for call in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: list(store.list("a"))):
        with pytest.raises(NoBucket, match="no bucket 'no-such-bucket': create it"):
            call()


def test_a_reader_may_read_and_is_told_which_permission_it_lacks(
    s3_store: ObjectStore, seaweed: Weed, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3_store.put("a", b"1")
    log_in(monkeypatch, READER)
    reader = open_store(s3_store.uri, seaweed.options())
    assert reader.get("a").data == b"1"
    with pytest.raises(Denied, match=r"cannot write s3://slipway-test/.*/b .*s3:PutObject"):
        reader.put_if_absent("b", b"")
    with pytest.raises(Denied, match="s3:DeleteObject"):
        reader.delete("a")


def test_the_probe_tells_a_lack_of_rights_from_a_bad_store(
    s3_store: ObjectStore, seaweed: Weed, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, READER)
    report = probe(open_store(s3_store.uri, seaweed.options()))
    assert (report.verdict, report.ok) == ("Denied", False)
    assert "s3:PutObject" in report.message


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("nobody", "nothing"), "does not know this access key: check AWS_ACCESS_KEY_ID"),
        ((ADMIN[0], "wrong"), "secret key does not fit"),
    ],
)
def test_wrong_credentials_are_told_apart(
    seaweed: Weed, monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str], words: str
) -> None:
    log_in(monkeypatch, pair)
    store = open_store(f"s3://{BUCKET}/x", seaweed.options())
    with pytest.raises(Denied, match=words) as refusal:
        store.get("a")
    assert pair[1] not in str(refusal.value)


def test_no_credentials_at_all_says_how_to_give_some(seaweed: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Denied, match="no credentials found: set AWS_ACCESS_KEY_ID"):
        open_store(f"s3://{BUCKET}/x", seaweed.options()).get("a")


def test_a_profile_that_does_not_exist_is_named(seaweed: Weed) -> None:
    with pytest.raises(Denied, match="nowhere"):
        open_store(f"s3://{BUCKET}/x", seaweed.options(profile="nowhere")).get("a")


def test_the_endpoint_is_found_in_the_environment(seaweed: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", seaweed.endpoint)
    store = open_store(f"s3://{BUCKET}/from-environment")
    store.put("a", b"1")
    assert store.get("a").data == b"1"
    store.delete("a")


def test_an_endpoint_that_is_no_url_says_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "127.0.0.1:9")
    with pytest.raises(StorageError, match=r"Invalid endpoint: 127\.0\.0\.1:9: write AWS_ENDPOINT_URL_S3 as http://host:port"):
        open_store("s3://bucket").get("x")


def test_a_server_that_is_down_is_unavailable_and_named(seaweed: Weed) -> None:
    port = unused_port()
    store = open_store(f"s3://{BUCKET}/x", seaweed.options(endpoint_url=f"http://127.0.0.1:{port}", attempts=1))
    with pytest.raises(Unavailable, match=rf"127.0.0.1:{port}.*is it up"):
        store.get("a")
    assert probe(store).verdict == "Unavailable"
