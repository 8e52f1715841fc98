"""The client against the real CNCF distribution registry, also through a proxy that breaks things on the way."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.stores import htpasswd_line
from slipway.images import assemble, entries, layer, oci
from slipway.images.assemble import Part
from slipway.images.blobs import Bytes, StoredFile
from slipway.images.credentials import DockerConfig
from slipway.images.errors import (
    DigestMismatch,
    NotInRegistry,
    RegistryDenied,
    RegistryFull,
    RegistryRefused,
    RegistryUnavailable,
)
from slipway.images.oci import sha256
from slipway.images.reference import Reference
from slipway.images.registry_client import RegistryClient
from slipway.images.transport import Options
from slipway.images.upload import Tally
from tests.contract.images.servers import Fault, Proxy, Running, Seen, TokenService, distribution
from tests.fakes.images import push_base

CHUNK = 64 << 10


def quick(**options: object) -> RegistryClient:
    return RegistryClient(Options(**options), sleep=lambda _seconds: None)  # type: ignore[arg-type]


def login(host: str, user: str, password: str) -> DockerConfig:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return DockerConfig({"auths": {host: {"auth": auth}}}, "config.json")


def behind(proxy: Proxy, repository: Reference) -> Reference:
    return Reference(proxy.host, repository.repository)


def first(method: str, fault: Fault, part: str = "", times: int = 1) -> Callable[[Seen], Fault | None]:
    """Breaks the first `times` requests of `method`."""
    left = [fault] * times
    return lambda seen: left.pop() if left and seen.method == method and part in seen.path else None


# ---- blobs ----


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7])
def test_a_blob_of_any_size_arrives_whole(size: int, repository: Reference) -> None:
    data = os.urandom(size)
    with quick(chunk=CHUNK) as client:
        client.push_blob(repository, Bytes(data))
        assert client.blob(repository, sha256(data)) == data
        assert b"".join(client.blob_pieces(repository, sha256(data), 1, size - 2)) == data[1:-1] if size > 2 else True
        assert client.tally.bytes_sent == size


def test_a_blob_that_is_there_is_not_sent_again(client: RegistryClient, repository: Reference) -> None:
    data = Bytes(os.urandom(1000))
    client.push_blob(repository, data)
    again = Tally()
    client.push_blob(repository, data, tally=again)
    assert (again.bytes_sent, again.existing) == (0, 1)


def test_a_blob_is_mounted_from_another_repository(client: RegistryClient, repository: Reference) -> None:
    data = Bytes(os.urandom(1000))
    client.push_blob(repository, data)
    other = Reference(repository.host, f"{repository.repository}-other")
    tally = Tally()
    client.push_blob(other, data, mount_from=(repository,), tally=tally)
    assert (tally.bytes_sent, tally.mounted) == (0, 1)
    assert client.blob(other, data.digest) == data.data


def test_a_blob_that_cannot_be_mounted_is_sent(client: RegistryClient, repository: Reference) -> None:
    data = Bytes(os.urandom(1000))
    client.push_blob(repository, data, mount_from=(Reference(repository.host, "nowhere/at-all"),))
    assert client.tally.bytes_sent == 1000


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("PATCH", Fault(cut_after=1000)),
        ("PATCH", Fault(lose_answer=True)),
        ("PATCH", Fault(status=503)),
        ("PUT", Fault(cut_after=0)),
        ("PUT", Fault(lose_answer=True)),
        ("POST", Fault(status=429, headers={"Retry-After": "1"})),
        ("POST", Fault(lose_answer=True)),
        ("HEAD", Fault(status=502)),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("chunked", [True, False])
def test_an_upload_survives_one_fault(method: str, fault: Fault, chunked: bool, proxy: Proxy, repository: Reference) -> None:
    data = os.urandom(3 * CHUNK + 5)
    proxy.script = first(method, fault)
    with quick(chunk=CHUNK if chunked else 1 << 20) as client:
        client.push_blob(behind(proxy, repository), Bytes(data))
        assert client.blob(repository, sha256(data)) == data


def test_a_broken_upload_goes_on_from_where_it_was(proxy: Proxy, repository: Reference) -> None:
    """CNCF distribution 2.8 takes no part of a chunk for granted, so the fault is between two chunks."""
    data = os.urandom(10 * CHUNK)
    count = 0

    def script(seen: Seen) -> Fault | None:
        nonlocal count
        count += seen.method == "PATCH"
        return Fault(status=503) if seen.method == "PATCH" and count == 8 else None

    proxy.script = script
    with quick(chunk=CHUNK) as client:
        client.push_blob(behind(proxy, repository), Bytes(data))
        assert client.blob(repository, sha256(data)) == data
        assert client.tally.bytes_sent <= len(data) + CHUNK, "seven chunks were not sent again"


def test_faults_without_end_are_given_up(proxy: Proxy, repository: Reference) -> None:
    proxy.script = lambda seen: Fault(status=503) if seen.method in ("PUT", "PATCH") else None
    with quick(attempts=3) as client, pytest.raises(RegistryUnavailable, match="503"):
        client.push_blob(behind(proxy, repository), Bytes(b"data"))
    assert proxy.count("PUT") <= 4


def test_a_large_layer_streams_with_little_memory(repository: Reference, tmp_path: Path) -> None:
    size = 24 << 20
    with (tmp_path / "large").open("wb") as writer:
        for _ in range(size >> 20):
            writer.write(os.urandom(1 << 20))
    tracemalloc.start()
    try:
        made = layer.pack([entries.file("large", tmp_path / "large")], tmp_path / "layer.gz")
        with quick(chunk=4 << 20) as client:
            client.push_blob(repository, StoredFile.of(made))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


# ---- manifests ----


def test_a_manifest_is_found_by_tag_and_digest_and_sent_once(
    client: RegistryClient, repository: Reference, tmp_path: Path
) -> None:
    pinned = push_base(client, repository, tmp_path)
    digest = pinned.partition("@")[2]
    data = client.manifest(repository.with_digest(digest)).data
    assert client.put_manifest(repository.with_tag("v1"), data, oci.MANIFEST)
    assert not client.put_manifest(repository.with_tag("v1"), data, oci.MANIFEST)
    assert client.resolve(repository.with_tag("v1")) == repository.with_digest(digest)
    assert client.find(repository.with_tag("v2")) is None
    with pytest.raises(NotInRegistry):
        client.manifest(repository.with_tag("v2"))


def test_a_manifest_whose_answer_is_lost_was_stored_and_is_not_doubled(
    client: RegistryClient, proxy: Proxy, repository: Reference, tmp_path: Path
) -> None:
    data = client.manifest(repository.with_digest(push_base(client, repository, tmp_path).partition("@")[2])).data
    proxy.script = first("PUT", Fault(lose_answer=True), "/manifests/")
    client.put_manifest(behind(proxy, repository).with_tag("v1"), data, oci.MANIFEST)
    assert client.find(repository.with_tag("v1")) == sha256(data)


def test_a_manifest_that_was_tampered_with_is_refused(proxy: Proxy, repository: Reference) -> None:
    proxy.script = lambda seen: Fault(status=200, headers={"Content-Type": oci.MANIFEST}, body=b"{}")
    with quick() as client, pytest.raises(DigestMismatch):
        client.manifest(behind(proxy, repository).with_digest("sha256:" + "0" * 64))


def test_the_blobs_come_before_the_manifest_and_the_tag_last(
    client: RegistryClient, proxy: Proxy, repository: Reference, tmp_path: Path
) -> None:
    made = layer.pack([entries.text("a", "a")], tmp_path / "l.gz")
    part = Part(made.descriptor, made.diff_id, "application", StoredFile.of(made))
    image = assemble.compose([part], assemble.Changes(), platform="linux/amd64")
    assemble.push(client, image, behind(proxy, repository), tags=["latest"])
    written = [seen.path.partition("?")[0].rpartition("/")[2] for seen in proxy.seen if seen.method == "PUT"]
    assert written[-2:] == [image.digest, "latest"]
    assert len(written) == 4


# ---- who may ----


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry that wants a password."""
    root = tmp_path_factory.mktemp("guarded")
    (root / "htpasswd").write_text(htpasswd_line("ann", "secret"))
    with distribution(root, htpasswd=root / "htpasswd") as running:
        yield running


def test_a_password_lets_in(guarded: Running, tmp_path: Path) -> None:
    to = Reference(guarded.host, "team/app")
    with RegistryClient(None, login(guarded.host, "ann", "secret")) as client:
        assert push_base(client, to, tmp_path)


@pytest.mark.parametrize(("user", "password"), [("ann", "hunter-two"), ("bob", "secret")])
def test_a_wrong_password_is_told_without_it(user: str, password: str, guarded: Running) -> None:
    with (
        RegistryClient(None, login(guarded.host, user, password), sleep=lambda _seconds: None) as client,
        pytest.raises(RegistryDenied, match=f"refuses user '{user}'") as caught,
    ):
        client.push_blob(Reference(guarded.host, "team/app"), Bytes(b"x"))
    assert password not in str(caught.value)


def test_no_password_says_how_to_give_one(guarded: Running) -> None:
    with quick() as client, pytest.raises(RegistryDenied, match="kubectl create secret docker-registry"):
        client.push_blob(Reference(guarded.host, "team/app"), Bytes(b"x"))


@pytest.fixture
def tokens() -> Iterator[TokenService]:
    made = TokenService()
    yield made
    made.close()


def test_a_token_is_fetched_once_and_again_when_it_expires(proxy: Proxy, tokens: TokenService, repository: Reference) -> None:
    proxy.script = tokens.guard
    to = behind(proxy, repository)
    with RegistryClient(None, login(proxy.host, "ann", "secret")) as client:
        client.push_blob(to, Bytes(b"one"))
        assert len(tokens.asked) == 1
        assert "pull%2Cpush" in tokens.asked[0]
        tokens.valid = {"t2"}
        client.push_blob(to, Bytes(b"two"))
        assert len(tokens.asked) == 2


def test_a_token_service_that_refuses(proxy: Proxy, tokens: TokenService, repository: Reference) -> None:
    proxy.script = tokens.guard
    with RegistryClient(None, login(proxy.host, "ann", "wrong")) as client, pytest.raises(RegistryDenied, match="ann"):
        client.push_blob(behind(proxy, repository), Bytes(b"one"))


# ---- what a registry answers ----


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (Fault(status=507), RegistryFull, "make room"),
        (Fault(status=500, body=b'{"errors":[{"message":"write: no space left on device"}]}'), RegistryFull, "make room"),
        (Fault(status=413), RegistryRefused, "limits the size"),
        (Fault(status=403, body=b'{"errors":[{"code":"DENIED","message":"quota"}]}'), RegistryDenied, "quota"),
        (Fault(status=500), RegistryUnavailable, "500"),
    ],
)
def test_refusals_have_their_own_errors(
    fault: Fault, error: type[Exception], words: str, proxy: Proxy, repository: Reference
) -> None:
    proxy.script = lambda seen: fault if seen.method == "PUT" else None
    with quick(attempts=2) as client, pytest.raises(error, match=words):
        client.push_blob(behind(proxy, repository), Bytes(b"data"))


# ---- referrers ----


def test_documents_are_found_by_their_subject(client: RegistryClient, repository: Reference, tmp_path: Path) -> None:
    """The registry has no referrers API, so an index at a tag has to list them all."""
    image = repository.with_digest(push_base(client, repository, tmp_path).partition("@")[2])
    described = oci.describe(client.manifest(image).data, oci.MANIFEST)
    for number in range(3):
        client.attach(image, described, json.dumps({"n": number}).encode(), f"application/vnd.test.{number % 2}+json")
    client.attach(image, described, b'{"n": 0}', "application/vnd.test.0+json")
    found = client.referrers(image)
    assert sorted(str(entry.artifact_type) for entry in found) == [f"application/vnd.test.{n}+json" for n in (0, 0, 1)]
    index = json.loads(client.manifest(repository.with_tag(str(image.digest).replace(":", "-"))).data)
    assert {entry["digest"] for entry in index["manifests"]} == {entry.digest for entry in found}


def test_a_registry_with_the_referrers_api_gets_no_extra_tag(
    client: RegistryClient, proxy: Proxy, repository: Reference, tmp_path: Path
) -> None:
    image = repository.with_digest(push_base(client, repository, tmp_path).partition("@")[2])
    described = oci.describe(client.manifest(image).data, oci.MANIFEST)
    answer = Fault(status=200, headers={"Content-Type": oci.INDEX}, body=oci.Index().to_json())
    proxy.script = lambda seen: answer if "/referrers/" in seen.path else None
    behind_it = behind(proxy, repository).with_digest(str(image.digest))
    client.attach(behind_it, described, b"{}", "application/vnd.test+json")
    assert client.find(repository.with_tag(str(image.digest).replace(":", "-"))) is None


# ---- platforms ----


def test_of_an_index_the_image_of_the_platform_is_taken(client: RegistryClient, repository: Reference, tmp_path: Path) -> None:
    manifests = []
    for platform in ("linux/amd64", "linux/arm64"):
        digest = push_base(client, repository, tmp_path / platform, platform=platform).partition("@")[2]
        data = client.manifest(repository.with_digest(digest)).data
        os_name, _, architecture = platform.partition("/")
        manifests.append(oci.describe(data, oci.MANIFEST, platform=oci.Platform(os=os_name, architecture=architecture)))
    client.put_manifest(repository.with_tag("multi"), oci.Index(manifests=tuple(manifests)).to_json(), oci.INDEX)
    base = assemble.read_base(client, repository.with_tag("multi"), "linux/arm64")
    assert base.config.platform == "linux/arm64"
    assert base.reference.digest == manifests[1].digest


def test_progress_counts_every_byte(repository: Reference) -> None:
    data, told = os.urandom(3 * CHUNK), []
    with quick(chunk=CHUNK) as client:
        client.push_blob(repository, Bytes(data), progress=told.append)
    assert sum(told) == len(data)
    assert hashlib.sha256(data).hexdigest() == sha256(data).removeprefix("sha256:")
