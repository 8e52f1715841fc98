"""Waiting for facts, and small questions to servers."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from local.errors import WaitTimeout


def wait_until(
    what: str,
    fact: Callable[[], bool],
    *,
    seconds: float,
    every: float = 0.05,
    give_up: Callable[[], str | None] | None = None,
    log: Path | None = None,
) -> None:
    """Poll `fact` until it is true.

    Raises WaitTimeout after `seconds` with the last lines of `log`, or at once if `give_up` returns a reason why the fact can
    never come true.
    """
    deadline = time.monotonic() + seconds
    while not fact():
        reason = give_up() if give_up else None
        if reason:
            raise WaitTimeout(f"{what}: {reason}")
        if time.monotonic() > deadline:
            words = f". Last words of {log}:\n{tail(log)}" if log else ""
            raise WaitTimeout(f"{what}: not within {seconds:.0f} s{words}")
        time.sleep(every)


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a file, empty if it is not there."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def http_ok(url: str, *, expect: int = 200, timeout: float = 2.0) -> bool:
    """Whether a GET answers with the status code `expect`. Never raises."""
    try:
        # No proxy of the environment: these are addresses of this machine.
        return httpx.get(url, timeout=timeout, trust_env=False).status_code == expect
    except httpx.HTTPError:
        return False


class Api:
    """A few requests to an API server with a client certificate, without the cost of starting kubectl."""

    def __init__(self, url: str, ca: Path, certificate: Path, key: Path, *, timeout: float = 5.0) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(str(certificate), str(key))
        self._client = httpx.Client(base_url=url, verify=context, timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ready(self) -> bool:
        """Whether ``/readyz`` says ok. Never raises."""
        return self.ok("/readyz")

    def ok(self, path: str) -> bool:
        """Whether a GET on `path` succeeds. Never raises."""
        try:
            return self._client.get(path).status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str) -> dict[str, object] | None:
        """The JSON object at `path`, or None if it is not there or there is no answer."""
        try:
            answer = self._client.get(path)
        except httpx.HTTPError:
            return None
        if answer.status_code != 200:
            return None
        body = answer.json()
        return body if isinstance(body, dict) else None

    def apply(self, path: str, manifest: str, *, manager: str) -> None:
        """Server-side apply a YAML or JSON `manifest` at `path`. Raises httpx.HTTPError."""
        self._client.patch(
            path,
            params={"fieldManager": manager, "force": "true"},
            content=manifest.encode(),
            headers={"Content-Type": "application/apply-patch+yaml"},
        ).raise_for_status()
