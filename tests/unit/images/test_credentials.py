from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from slipway.images.auth import challenges
from slipway.images.credentials import DockerConfig, Login
from slipway.images.errors import RegistryDenied


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def config(auths: dict[str, Any], **more: Any) -> DockerConfig:
    return DockerConfig({"auths": auths, **more}, "config.json")


@pytest.mark.parametrize(
    ("key", "host", "repository"),
    [
        ("registry.example.com", "registry.example.com", "a/b"),
        ("https://registry.example.com/v2/", "registry.example.com", "a"),
        ("registry.example.com/a", "registry.example.com", "a/b"),
        ("registry.example.com:5000", "registry.example.com:5000", "a"),
        ("https://index.docker.io/v1/", "docker.io", "library/python"),
    ],
)
def test_the_entry_of_the_registry_is_found(key: str, host: str, repository: str) -> None:
    assert config({key: auth("ann:pa:ss")}).login(host, repository) == Login("ann", "pa:ss")


def test_the_longest_path_counts() -> None:
    found = config({"r.example.com": auth("all:1"), "r.example.com/team": auth("team:2")})
    assert found.login("r.example.com", "team/app") == Login("team", "2")
    assert found.login("r.example.com", "other/app") == Login("all", "1")
    assert found.login("elsewhere.example.com", "team/app") is None


def test_tokens() -> None:
    entries = {"a.example.com": {"identitytoken": "x"}, "b.example.com": {"registrytoken": "y"}, "c.example.com": {}}
    found = config(entries)
    assert found.login("a.example.com", "r") == Login(identity_token="x")
    assert found.login("b.example.com", "r") == Login(bearer="y")
    assert found.login("c.example.com", "r") is None


def test_no_secret_is_shown() -> None:
    assert "pa" not in repr(Login("ann", "pa", "pa", "pa"))


@pytest.mark.parametrize(
    ("text", "words"),
    [("no json", "no JSON"), ("[]", "auths"), ('{"auths": []}', "auths")],
)
def test_a_file_that_is_none(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(RegistryDenied, match=words):
        DockerConfig.load(path)


@pytest.mark.parametrize("entry", [{"auth": "%%%"}, {"auth": base64.b64encode(b"nocolon").decode()}, "text"])
def test_an_entry_that_is_none_names_the_registry_and_not_the_secret(entry: Any) -> None:
    with pytest.raises(RegistryDenied, match=r"r\.example\.com") as caught:
        config({"r.example.com": entry}).login("r.example.com", "a")
    assert "nocolon" not in str(caught.value)


def test_a_helper_that_is_not_here_is_named() -> None:
    with pytest.raises(RegistryDenied, match="docker-credential-nosuch"):
        config({}, credsStore="nosuch").login("r.example.com", "a")


def test_a_helper_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text("#!/bin/sh\nread host\n" + f"echo '{json.dumps({'Username': 'ann', 'Secret': 's'})}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert config({}, credHelpers={"r.example.com": "test"}).login("r.example.com", "a") == Login("ann", "s")


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        (
            'Bearer realm="https://auth.example.com/token",service="r",scope="repository:a:pull,push"',
            [("bearer", {"realm": "https://auth.example.com/token", "service": "r", "scope": "repository:a:pull,push"})],
        ),
        ('Basic realm="x", Bearer realm="y", service=z', [("bearer", {"realm": "y", "service": "z"}), ("basic", {"realm": "x"})]),
        (r'Bearer realm="a\"b"', [("bearer", {"realm": 'a"b'})]),
        ("Negotiate", []),
        ("", []),
    ],
)
def test_challenges(header: str, found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(c.scheme, dict(c.parameters)) for c in challenges(header)] == found
