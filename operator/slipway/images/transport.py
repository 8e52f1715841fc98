"""One HTTP exchange with a registry: scheme, certificates, credentials, time-outs, retries, and errors in clear words."""

from __future__ import annotations

import contextlib
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from slipway.images.auth import PUSH, Authorizer, Scope
from slipway.images.credentials import Anonymous, Credentials
from slipway.images.errors import (
    NotInRegistry,
    RegistryDenied,
    RegistryError,
    RegistryFull,
    RegistryRefused,
    RegistryUnavailable,
)
from slipway.images.reference import is_loopback

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_PAUSE = 30.0
_MAX_ERROR = 64 << 10
_NO_SPACE = ("no space left", "disk quota exceeded", "insufficient storage", "quota has been exceeded", '"err":28')
Body = Callable[[], Iterator[bytes]]
"""Makes the body anew for each try."""


@dataclass(frozen=True)
class Options:
    """How registries are reached. Times in seconds, sizes in bytes."""

    insecure: frozenset[str] = frozenset()
    """``host:port`` reached by plain http; loopback always is."""
    ca_file: Path | None = None
    """Certificates (PEM) trusted beside the system's."""
    attempts: int = 5
    """Tries per request, the first one included, with growing pauses."""
    backoff: float = 0.5
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    chunk: int = 32 << 20
    """Blobs above this size are uploaded in chunks of it, so that a dropped connection costs one chunk at most."""


class Transport:
    """Sends requests. Thread-safe; all calls block. Close it."""

    def __init__(
        self,
        options: Options | None = None,
        credentials: Credentials | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.options = options or Options()
        self._auth = Authorizer(credentials or Anonymous(), self._fetch_token)
        self._sleep, self._jitter = sleep, jitter
        self._clients: dict[str, httpx.Client] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes all connections."""
        for client in self._clients.values():
            client.close()

    def base(self, host: str) -> str:
        """``scheme://host`` of a registry."""
        plain = is_loopback(host) or host in self.options.insecure
        return f"{'http' if plain else 'https'}://{host}"

    def join(self, host: str, location: str) -> httpx.URL:
        """A ``Location`` as a full URL. A registry behind a proxy may give its own host by http: never a step down."""
        base = httpx.URL(self.base(host))
        url = base.join(location)
        if url.scheme != base.scheme and url.host == base.host:
            url = url.copy_with(scheme=base.scheme, port=base.port)
        return url

    def send(
        self,
        method: str,
        host: str,
        url: str | httpx.URL,
        scope: Scope,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        accept: frozenset[int] = frozenset(),
        attempts: int | None = None,
    ) -> httpx.Response:
        """The answer, read whole. `url` is full, or a path of `host`. A status of 2xx or one in `accept` is returned.

        Raises RegistryUnavailable, RegistryFull, RegistryDenied, NotInRegistry, RegistryRefused."""
        target = self.join(host, url) if isinstance(url, str) else url
        tries = self.options.attempts if attempts is None else attempts
        for number in range(1, tries + 1):
            try:
                with self._exchange(method, host, target, scope, headers, body) as response:
                    response.read()
                if response.is_success or response.status_code in accept:
                    return response
                error = failure(response, host, scope)
                pause = _retry_after(response)
            except httpx.TransportError as fault:
                error, pause = unreachable(host, self.base(host), fault), None
                error.__cause__ = fault
            if number == tries or not _passing(error):
                raise error
            self.pause(number, pause)
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def stream(self, host: str, url: str, scope: Scope, *, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """The answer to one GET, not yet read; not tried again. Raises as `send`."""
        try:
            with self._exchange("GET", host, self.join(host, url), scope, headers, None) as response:
                if not response.is_success:
                    response.read()
                    raise failure(response, host, scope)
                yield response
        except httpx.TransportError as fault:
            raise unreachable(host, self.base(host), fault) from fault

    def pause(self, number: int, at_least: float | None = None) -> None:
        """Waits before try `number` + 1: longer each time, spread at random, and as long as the registry asked for."""
        growing = self.options.backoff * 2 ** (number - 1) * (0.5 + self._jitter())
        self._sleep(min(_LONGEST_PAUSE, max(growing, at_least or 0.0)))

    @contextlib.contextmanager
    def _exchange(
        self,
        method: str,
        host: str,
        url: httpx.URL,
        scope: Scope,
        headers: Mapping[str, str] | None,
        body: Body | None,
    ) -> Iterator[httpx.Response]:
        """One request, answered once more with credentials when it is challenged."""
        base = httpx.URL(self.base(host))
        ours = (url.host, url.port) == (base.host, base.port)
        known = self._auth.header(host, scope) if ours else None
        response = self._request(method, url, headers, body, known)
        try:
            if response.status_code == 401 and ours:
                challenge = response.headers.get("www-authenticate", "")
                response.close()
                self._auth.forget(host, scope, known)
                header = self._auth.answer(host, scope, challenge, secure=base.scheme == "https")
                response = self._request(method, url, headers, body, header)
                if response.status_code == 401:
                    self._auth.forget(host, scope, header)
                    raise self._auth.refused(host, scope)
            yield response
        finally:
            response.close()

    def _request(
        self, method: str, url: httpx.URL, headers: Mapping[str, str] | None, body: Body | None, header: str | None
    ) -> httpx.Response:
        client = self._client(url.scheme)
        sent = dict(headers or {})
        if header is not None:
            sent["Authorization"] = header
        content = body() if body is not None else None
        request = client.build_request(method, url, headers=sent, content=content)
        return client.send(request, stream=True, follow_redirects=method in ("GET", "HEAD"))

    def _client(self, scheme: str) -> httpx.Client:
        with self._lock:
            if scheme not in self._clients:
                limits = httpx.Limits(max_connections=32, max_keepalive_connections=16)
                timeout = httpx.Timeout(self.options.read_timeout, connect=self.options.connect_timeout)
                verify: ssl.SSLContext | bool = self._trust() if scheme == "https" else False
                self._clients[scheme] = httpx.Client(
                    verify=verify, limits=limits, timeout=timeout, headers={"User-Agent": "slipway"}
                )
            return self._clients[scheme]

    def _trust(self) -> ssl.SSLContext:
        context = httpx.create_ssl_context()
        if self.options.ca_file is not None:
            try:
                context.load_verify_locations(self.options.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise RegistryDenied(
                    f"the registries' certificate file {self.options.ca_file} cannot be used: {error}; it must be PEM"
                ) from error
        return context

    def _fetch_token(self, method: str, url: str, **more: Any) -> httpx.Response:
        for number in range(1, self.options.attempts + 1):
            try:
                response = self._client(httpx.URL(url).scheme).request(method, url, **more)
            except httpx.TransportError as fault:
                if number == self.options.attempts:
                    raise unreachable(url, url, fault) from fault
                self.pause(number)
                continue
            if response.status_code not in RETRIED or number == self.options.attempts:
                return response
            self.pause(number, _retry_after(response))
        raise AssertionError("unreachable")


def _passing(error: RegistryError) -> bool:
    return isinstance(error, RegistryUnavailable) and not isinstance(error, RegistryFull)


def unreachable(host: str, url: str, fault: httpx.TransportError) -> RegistryUnavailable:
    """The error for a request that got no answer, in words that tell a closed port from a wrong scheme."""
    text = str(fault) or type(fault).__name__
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        hint = f"it speaks plain http: name {host} among the insecure registries if that is meant"
    elif "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "its certificate is not trusted here: give the file of the CA that signed it"
    elif isinstance(fault, httpx.TimeoutException):
        hint = "no answer in time"
    else:
        hint = text
    return RegistryUnavailable(f"registry {host} cannot be reached at {url}: {hint}")


def failure(response: httpx.Response, host: str, scope: Scope) -> RegistryError:
    """The error that an answer stands for. Its body must have been read."""
    status, words = response.status_code, registry_words(response)
    name = f"{host}/{scope.repository}"
    said = f"registry {host} answered {status}" + (f": {words}" if words else "")
    if status == 507 or (status >= 500 and _says_full(response)):
        return RegistryFull(f"registry {host} has no space left to store {name} ({said}): make room in it", status=status)
    if status in (401, 403):
        doing = "push to" if scope.action == PUSH else "pull from"
        return RegistryDenied(f"{host} does not allow to {doing} {name} ({said}): check the login's rights", status=status)
    if status == 404:
        return NotInRegistry(f"{name}: not found ({said})", status=404)
    if status == 413:
        return RegistryRefused(f"{said}: a proxy in front of {host} limits the size of uploads; raise its limit", status=413)
    if status in RETRIED or status >= 500:
        return RegistryUnavailable(said, status=status)
    return RegistryRefused(f"{said} for {name}", status=status)


def registry_words(response: httpx.Response) -> str:
    """What a registry says of an error, shortened to one line."""
    try:
        errors = response.json()["errors"]
        parts = [f"{item.get('code', '')} {item.get('message', '')}".strip() for item in errors]
        text = "; ".join(part for part in parts if part)
    except (ValueError, KeyError, TypeError, AttributeError):
        kind = response.headers.get("content-type", "")
        text = response.text if kind.startswith("text/plain") else ""
    return " ".join(text.split())[:300]


def _says_full(response: httpx.Response) -> bool:
    text = response.text[:_MAX_ERROR].lower().replace(" ", "") if len(response.content) <= _MAX_ERROR else ""
    return any(words.replace(" ", "") in text for words in _NO_SPACE)


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time()) if value else None
    except (TypeError, ValueError):
        return None
