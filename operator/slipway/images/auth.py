"""Answers a registry's challenge: basic, or a bearer token from the token service that it names.

Source: CNCF distribution, "Token Authentication Specification" and "OAuth2 token authentication".
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from slipway.images.credentials import Credentials, Login
from slipway.images.errors import RegistryDenied, RegistryUnavailable

_SCHEME = re.compile(r"(?:^|,)\s*(Basic|Bearer)\s+", re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')

PULL, PUSH = "pull", "pull,push"
CLIENT = "slipway"
Fetch = Callable[..., httpx.Response]
"""``(method, url, *, params, data, auth)``; raises RegistryUnavailable when the token service does not answer."""


@dataclass(frozen=True)
class Scope:
    """What a request needs: `action` on `repository`, and to pull from `others` (for mounts)."""

    repository: str
    action: str = PULL
    others: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """As a token service is asked for it."""
        pulls = (f"repository:{name}:{PULL}" for name in sorted(set(self.others) - {self.repository}))
        return (f"repository:{self.repository}:{self.action}", *pulls)


@dataclass(frozen=True)
class Challenge:
    """One way by which a registry lets itself be convinced; `scheme` is ``basic`` or ``bearer``."""

    scheme: str
    parameters: Mapping[str, str]


def challenges(header: str) -> list[Challenge]:
    """The challenges of a ``WWW-Authenticate`` header that we can answer, bearer first."""
    starts = list(_SCHEME.finditer(header))
    found = []
    for number, match in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(header)
        parameters = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
            for name, quoted, plain in _PARAMETER.findall(header[match.end() : end])
        }
        found.append(Challenge(match.group(1).lower(), parameters))
    return sorted(found, key=lambda challenge: challenge.scheme != "bearer")


class Authorizer:
    """Keeps what registries accepted, so that only the first request to a repository is challenged. Thread-safe."""

    def __init__(self, credentials: Credentials, fetch: Fetch) -> None:
        self._credentials = credentials
        self._fetch = fetch
        self._headers: dict[tuple[str, tuple[str, ...]], str] = {}
        self._lock = threading.Lock()

    def header(self, host: str, scope: Scope) -> str | None:
        """The ``Authorization`` to try first; None without one."""
        with self._lock:
            return self._headers.get((host, scope.words))

    def forget(self, host: str, scope: Scope, header: str | None) -> None:
        """Drops `header`, which was refused."""
        with self._lock:
            if header is not None and self._headers.get((host, scope.words)) == header:
                del self._headers[host, scope.words]

    def answer(self, host: str, scope: Scope, www_authenticate: str, *, secure: bool) -> str:
        """The ``Authorization`` for a request that was challenged. `secure`: the registry itself is reached by https.

        Raises RegistryDenied when there are no credentials, or they are refused; RegistryUnavailable."""
        login = self._credentials.login(host, scope.repository)
        for challenge in challenges(www_authenticate):
            if challenge.scheme == "basic" and (login is None or not login.user):
                continue
            header = self._basic(login) if challenge.scheme == "basic" else None
            header = header or self._bearer(host, scope, challenge, login, secure)
            with self._lock:
                self._headers[host, scope.words] = header
            return header
        raise denied(host, scope, login)

    def refused(self, host: str, scope: Scope) -> RegistryDenied:
        """The error for a request that was refused in spite of its ``Authorization``."""
        return denied(host, scope, self._credentials.login(host, scope.repository))

    def _basic(self, login: Login | None) -> str | None:
        if login is None:
            return None
        return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()

    def _bearer(self, host: str, scope: Scope, challenge: Challenge, login: Login | None, secure: bool) -> str:
        if login and login.bearer:
            return f"Bearer {login.bearer}"
        realm = challenge.parameters.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            raise RegistryUnavailable(f"{host} names no token service in its challenge: realm is {realm!r}")
        if secure and login and not realm.startswith("https://"):
            raise RegistryDenied(f"{host} asks to send its password by plain http to {realm}: not done")
        response = self._token_request(realm, challenge.parameters.get("service", ""), scope, login)
        if response.status_code in (400, 401, 403):
            raise denied(host, scope, login)
        if response.status_code != 200:
            raise RegistryUnavailable(f"the token service of {host} answered {response.status_code}; it is tried again")
        token = _token(response)
        if not token:
            raise RegistryUnavailable(f"the token service of {host} answered without a token")
        return f"Bearer {token}"

    def _token_request(self, realm: str, service: str, scope: Scope, login: Login | None) -> httpx.Response:
        if login and login.identity_token:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": login.identity_token,
                "service": service,
                "scope": " ".join(scope.words),
                "client_id": CLIENT,
            }
            return self._fetch("POST", realm, data=form)
        query: list[tuple[str, str]] = [("scope", word) for word in scope.words]
        if service:
            query.append(("service", service))
        auth = httpx.BasicAuth(login.user, login.password) if login and login.user else None
        return self._fetch("GET", realm, params=query, auth=auth)


def _token(response: httpx.Response) -> str:
    try:
        document: Any = response.json()
    except ValueError:
        return ""
    if not isinstance(document, dict):
        return ""
    return str(document.get("token") or document.get("access_token") or "")


def denied(host: str, scope: Scope, login: Login | None, *, status: int = 401) -> RegistryDenied:
    """The error for a refusal, in words that say what to do."""
    doing = "push to" if scope.action == PUSH else "pull from"
    name = f"{host}/{scope.repository}"
    if login is None:
        return RegistryDenied(
            f"{host} asks for a login to {doing} {name}, and there is none: put one into a docker config.json "
            f"(kubectl create secret docker-registry --docker-server={host} …)",
            status=status,
        )
    who = f"user {login.user!r}" if login.user else "the given token"
    if status == 403:
        return RegistryDenied(f"{host}: {who} may not {doing} {name}: grant the right, or use another login", status=403)
    return RegistryDenied(
        f"{host} refuses {who}, to {doing} {name}: the password or token is wrong or expired, or lacks the right",
        status=status,
    )
