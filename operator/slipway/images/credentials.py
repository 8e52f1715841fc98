"""Credentials for registries, from the ``config.json`` that ``docker login`` and Kubernetes' dockerconfigjson Secrets hold."""

from __future__ import annotations

import base64
import binascii
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from slipway.images.errors import RegistryDenied
from slipway.images.reference import DOCKER_HUB

_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")
_HELPER_TIMEOUT = 30.0
_TOKEN_USER = "<token>"  # noqa: S105  a marker of the docker credential helpers' protocol


@dataclass(frozen=True)
class Login:
    """What proves to a registry who asks. `identity_token` is exchanged for access, `bearer` is access itself."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)


class Credentials(Protocol):
    """Finds the login for a registry."""

    def login(self, host: str, repository: str) -> Login | None:
        """For ``host[:port]``, as in references; None: ask without one. Raises RegistryDenied when it cannot be read."""


class Anonymous:
    """No credentials at all."""

    def login(self, host: str, repository: str) -> Login | None:
        """Always None."""
        return None


class DockerConfig:
    """The logins of a docker ``config.json``. `source` names it in messages."""

    def __init__(self, document: Mapping[str, Any], source: str) -> None:
        self._document = document
        self._source = source

    @classmethod
    def load(cls, path: Path) -> DockerConfig:
        """Reads the file; one that is not there is an empty one. Raises RegistryDenied when it is no such file."""
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return cls({}, str(path))
        except OSError as error:
            raise RegistryDenied(f"{path} cannot be read: {error.strerror}") from error
        try:
            document = json.loads(text)
        except ValueError as error:
            raise RegistryDenied(f"{path} is no JSON: it must be the config.json that `docker login` writes") from error
        if not isinstance(document, dict) or not isinstance(document.get("auths", {}), dict):
            raise RegistryDenied(f"{path} must hold an object with 'auths', as `docker login` writes it")
        return cls(document, str(path))

    def login(self, host: str, repository: str) -> Login | None:
        """As the protocol says. The entry of the longest path counts, as for the kubelet: ``host/team`` before ``host``."""
        helper = self._helper(host)
        if helper:
            return _ask_helper(helper, host)
        auths: Mapping[str, Any] = self._document.get("auths", {})
        entries = {_normalised(key): value for key, value in auths.items()}
        for name in _candidates(host, repository):
            if name in entries:
                return self._read(entries[name], name)
        return None

    def _helper(self, host: str) -> str:
        helpers = self._document.get("credHelpers", {})
        found = helpers.get(host, "") if isinstance(helpers, dict) else ""
        store = self._document.get("credsStore", "")
        name = found or store
        return name if isinstance(name, str) else ""

    def _read(self, entry: object, name: str) -> Login | None:
        if not isinstance(entry, dict):
            raise RegistryDenied(f"{self._source}: the entry of {name} must be an object with 'auth'")
        values = {key: value for key, value in entry.items() if isinstance(value, str)}
        user, password = values.get("username", ""), values.get("password", "")
        if values.get("auth"):
            user, password = self._decoded(values["auth"], name)
        login = Login(user, password, values.get("identitytoken", ""), values.get("registrytoken", ""))
        return login if login != Login() else None

    def _decoded(self, auth: str, name: str) -> tuple[str, str]:
        try:
            user, colon, password = base64.b64decode(auth, validate=True).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise RegistryDenied(f"{self._source}: 'auth' of {name} is not base64 of user:password") from error
        if not colon:
            raise RegistryDenied(f"{self._source}: 'auth' of {name} is not base64 of user:password")
        return user, password


def _normalised(key: str) -> str:
    if key in _HUB_KEYS:
        return DOCKER_HUB
    name = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    return name.removesuffix("/v1").removesuffix("/v2")


def _candidates(host: str, repository: str) -> list[str]:
    parts = repository.split("/")
    paths = ["/".join([host, *parts[:count]]) for count in range(len(parts), 0, -1)]
    return [*paths, host]


def _ask_helper(helper: str, host: str) -> Login | None:
    program = f"docker-credential-{helper}"
    if shutil.which(program) is None:
        raise RegistryDenied(
            f"the docker configuration keeps its passwords with {program}, which is not installed here: "
            "use a config.json with 'auths' instead"
        )
    server = _HUB_KEYS[0] if host == DOCKER_HUB else host
    try:
        done = subprocess.run([program, "get"], input=server.encode(), capture_output=True, timeout=_HELPER_TIMEOUT)
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise RegistryDenied(f"{program} gave no credentials for {host}: {type(error).__name__}") from error
    user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    if not secret:
        return None
    return Login(identity_token=secret) if user == _TOKEN_USER else Login(user, secret)
