"""Uploads one blob: monolithic when small, in chunks when large; after a fault it goes on from where the registry is.

Source: OCI distribution specification 1.1, "Pushing blobs".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx

from slipway.images.auth import PUSH, Scope
from slipway.images.blobs import Content
from slipway.images.errors import (
    DigestMismatch,
    NotInRegistry,
    RegistryDenied,
    RegistryError,
    RegistryFull,
    RegistryRefused,
    RegistryUnavailable,
)
from slipway.images.transport import Transport

_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_NO_CHUNKS = frozenset({404, 405, 415, 501})
Progress = Callable[[int], None]
"""Called with the number of bytes sent since the last call."""


@dataclass
class Tally:
    """What a push did. `bytes_sent` counts bodies, repeated ones included. Thread-safe through `add`."""

    bytes_sent: int = 0
    sent: int = 0
    mounted: int = 0
    existing: int = 0
    manifests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, *, bytes_sent: int = 0, sent: int = 0, mounted: int = 0, existing: int = 0, manifests: int = 0) -> None:
        """Adds to the counts."""
        with self._lock:
            self.bytes_sent += bytes_sent
            self.sent += sent
            self.mounted += mounted
            self.existing += existing
            self.manifests += manifests


class Upload:
    """One blob on its way to one repository."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        repository: str,
        content: Content,
        tally: Tally,
        *,
        session: httpx.Response | None = None,
        progress: Progress | None = None,
    ) -> None:
        """`session` is the answer to a refused mount, which opened an upload already."""
        self._transport, self._host, self._repository = transport, host, repository
        self._content, self._tally, self._progress = content, tally, progress
        self._scope = Scope(repository, PUSH)
        self._chunk = transport.options.chunk
        self._chunked = content.size > self._chunk
        self._location: httpx.URL | None = None
        self._offset = 0
        self._resumed = False
        if session is not None:
            self._take_session(session)

    def run(self) -> None:
        """Uploads. Raises RegistryError; what arrived until then is not visible to anyone."""
        failures, furthest = 0, -1
        while True:
            try:
                self._send()
                self._tally.add(sent=1)
                return
            except RegistryError as error:
                if not self._worth_another_try(error):
                    raise
                failures = 0 if self._offset > furthest >= 0 else failures + 1
                furthest = max(furthest, self._offset)
                if failures >= self._transport.options.attempts:
                    raise
            self._transport.pause(max(1, failures))
            if self._arrived():
                self._tally.add(sent=1)
                return
            self._recover()

    def _send(self) -> None:
        if self._location is None:
            self._open()
        try:
            if self._chunked:
                self._send_chunks()
        except (RegistryRefused, NotInRegistry) as error:
            if error.status not in _NO_CHUNKS or self._offset:
                raise
            self._chunked = False  # as some registries do; the whole blob in one request then
            self._open()
        self._finish()

    def _open(self) -> None:
        self._offset = 0
        path = f"/v2/{self._repository}/blobs/uploads/"
        try:
            answer = self._transport.send("POST", self._host, path, self._scope, headers={"Content-Length": "0"})
        except NotInRegistry as error:
            raise RegistryDenied(
                f"registry {self._host} has no repository {self._repository} and makes none on push: create it there, "
                f"or grant the right to ({error})",
                status=404,
            ) from error
        self._take_session(answer)

    def _take_session(self, answer: httpx.Response) -> None:
        self._location = self._next(answer)
        least = answer.headers.get("oci-chunk-min-length", "")
        if least.isdigit():
            self._chunk = max(self._chunk, int(least))

    def _next(self, answer: httpx.Response) -> httpx.URL:
        location = answer.headers.get("location")
        if location:
            return self._transport.join(self._host, location)
        if self._location is None:
            raise RegistryUnavailable(f"registry {self._host} opened an upload without saying where")
        return self._location

    def _send_chunks(self) -> None:
        while self._offset < self._content.size:
            length = min(self._chunk, self._content.size - self._offset)
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(length),
                "Content-Range": f"{self._offset}-{self._offset + length - 1}",
            }
            answer = self._put("PATCH", self._place(), headers, self._offset, length)
            self._location = self._next(answer)
            self._offset = _received(answer, self._offset + length)

    def _finish(self) -> None:
        length = self._content.size - self._offset
        query = "&" if self._place().query else "?"
        url = httpx.URL(f"{self._place()}{query}digest={quote(self._content.digest, safe='')}")
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        try:
            self._put("PUT", url, headers, self._offset, length)
        except RegistryRefused as error:
            if error.status == 400 and "DIGEST" in str(error):
                raise DigestMismatch(
                    f"what arrived at {self._host} is not {self._content.digest}: {error}", status=400
                ) from error
            raise

    def _put(self, method: str, url: httpx.URL, headers: dict[str, str], start: int, length: int) -> httpx.Response:
        """One try: a failed one is followed by a look at how much the registry has."""
        return self._transport.send(
            method,
            self._host,
            url,
            self._scope,
            headers=headers,
            body=lambda: self._counted(start, length),
            attempts=1,
        )

    def _counted(self, start: int, length: int) -> Iterator[bytes]:
        for piece in self._content.read(start, length):
            yield piece
            self._tally.add(bytes_sent=len(piece))
            if self._progress is not None:
                self._progress(len(piece))

    def _place(self) -> httpx.URL:
        if self._location is None:
            raise RegistryUnavailable(f"the upload to {self._host} has no session")
        return self._location

    def _arrived(self) -> bool:
        """Whether the blob is there after all: the answer may have been lost after it was stored."""
        path = f"/v2/{self._repository}/blobs/{self._content.digest}"
        answer = self._transport.send("HEAD", self._host, path, self._scope, accept=frozenset({404}))
        return answer.status_code == 200

    def _recover(self) -> None:
        """Finds out how much of the blob the registry has; a session that is gone is begun anew."""
        location, self._location, self._resumed = self._location, None, False
        if location is None or not self._chunked:
            return
        try:
            answer = self._transport.send("GET", self._host, location, self._scope, attempts=1)
        except RegistryDenied:
            raise
        except RegistryError:
            return
        self._location = self._transport.join(self._host, answer.headers.get("location", str(location)))
        self._offset = _received(answer, 0)
        self._resumed = True

    def _worth_another_try(self, error: RegistryError) -> bool:
        if isinstance(error, RegistryFull):
            return False
        if isinstance(error, DigestMismatch):
            return self._resumed  # the parts may have been joined wrongly; sent whole, the same bytes stay wrong
        return isinstance(error, RegistryUnavailable | NotInRegistry) or error.status == 416


def _received(answer: httpx.Response, otherwise: int) -> int:
    """The bytes that a registry has, by its ``Range`` header; ``0-0`` is what an empty upload says."""
    match = _RANGE.fullmatch(answer.headers.get("range", ""))
    if not match:
        return otherwise
    last = int(match.group(1))
    return last + 1 if last else 0
