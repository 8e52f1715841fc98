from __future__ import annotations

import pytest

from slipway.images.errors import InvalidReference
from slipway.images.reference import Reference, is_loopback, parse, parse_repository

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("registry.example.com/ml/api", "registry.example.com", "ml/api", None, None),
        ("registry.example.com:5000/api:v1", "registry.example.com:5000", "api", "v1", None),
        (f"ghcr.io/a/b:v1@{DIGEST}", "ghcr.io", "a/b", "v1", DIGEST),
        (f"[::1]:5000/a@{DIGEST}", "[::1]:5000", "a", None, DIGEST),
        ("localhost/a", "localhost", "a", None, None),
        ("docker.io/python:3.12", "docker.io", "library/python", "3.12", None),
        ("index.docker.io/bitnami/x", "docker.io", "bitnami/x", None, None),
        ("Registry.Example.com/a__b/c-d", "registry.example.com", "a__b/c-d", None, None),
    ],
)
def test_well_formed(text: str, host: str, repository: str, tag: str | None, digest: str | None) -> None:
    assert parse(text) == Reference(host, repository, tag, digest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("python:3.12", "docker.io/library/python:3.12"),
        ("team/app", "docker.io/team/app"),
        ("registry.example.com/Team/App", "lower case"),
        ("registry.example.com/", "no repository"),
        ("registry.example.com:99999/a", "no port"),
        ("registry.example.com/a@sha256:abc", "64 hexadecimal"),
        ("registry.example.com/a:-x", "no tag"),
        ("https://registry.example.com/a", "registry.example.com/a"),
        ("registry.example.com/a//b", "no repository"),
        ("registry.example.com/a b", "white space"),
        ("registry.example.com/" + "a" * 300, "255"),
    ],
)
def test_malformed_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(InvalidReference, match=words.replace(".", r"\.")):
        parse(text)


def test_a_repository_has_neither_tag_nor_digest() -> None:
    assert parse_repository("r.example.com/a").name == "r.example.com/a"
    with pytest.raises(InvalidReference, match="without tag"):
        parse_repository("r.example.com/a:v1")


@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]:5000", "x.localhost"])
def test_only_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(host.replace("localhost", "localhost.example.com").replace("127.", "128.").replace("::1", "::2"))


def test_docker_hub_has_another_name_for_its_api() -> None:
    assert parse("docker.io/python").api_host == "registry-1.docker.io"
    assert str(parse("docker.io/python")) == "docker.io/library/python"
