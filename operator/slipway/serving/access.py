"""Who may ask: API keys from a file, and the certificate of TLS; both are read again when they change."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from pathlib import Path

from slipway.serving import log
from slipway.serving.errors import ExitCode, StartError
from slipway.serving.http.exchange import Exchange

CHECK_SECONDS = 2.0
"""How often files are looked at."""


class ApiKeys:
    """The keys in a file, one a line. Only their digests are kept, and compared in constant time."""

    def __init__(self, path: Path) -> None:
        """Raises StartError for a file that cannot be read or holds no key."""
        self._path = path
        self._stamp = _stamp(path)
        try:
            self._digests = _digests(path)
        except (OSError, ValueError) as error:
            raise StartError(f"--api-key-file {path}: {_words(error)}", ExitCode.USAGE) from error

    def allows(self, exchange: Exchange) -> bool:
        """Whether the request has a key: ``Authorization: Bearer KEY``, or ``X-API-Key: KEY``."""
        scheme, _, given = exchange.headers.get("authorization", "").partition(" ")
        key = given.strip() if scheme.lower() == "bearer" else exchange.headers.get("x-api-key", "")
        return self.allows_key(key)

    def allows_key(self, key: str) -> bool:
        """Whether `key` is one of them."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        return found

    def refresh(self) -> None:
        """Reads the file again if it has changed. One that cannot be used leaves the keys as they were."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = _digests(self._path)
            log.line("API keys were read again", keys=len(self._digests))
        except (OSError, ValueError) as error:
            log.line("API keys could not be read again: the old ones stay", level="error", reason=_words(error))


class Certificate:
    """The TLS side of the server."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises StartError for files that cannot be used."""
        self._cert, self._key = cert, key
        self._stamp = self._now()
        try:
            self.context = self._new()
        except (OSError, ssl.SSLError) as error:
            raise StartError(f"--tls-cert {cert}, --tls-key {key}: {_words(error)}", ExitCode.USAGE) from error

    def refresh(self) -> None:
        """Takes a new certificate for new connections. A pair that cannot be used leaves the old one."""
        stamp = self._now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._new()  # a context is left half changed by a pair that does not match
            self.context.load_cert_chain(self._cert, self._key)
            log.line("TLS certificate was read again", path=self._cert)
        except (OSError, ssl.SSLError) as error:
            log.line("TLS certificate could not be read again: the old one stays", level="error", reason=_words(error))

    def _new(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self._cert, self._key)
        return context

    def _now(self) -> tuple[object, object]:
        return _stamp(self._cert), _stamp(self._key)


def _stamp(path: Path) -> object:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _digests(path: Path) -> list[bytes]:
    keys = [line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    if not keys:
        raise ValueError("it holds no key")
    if any(len(key) < 16 for key in keys):
        raise ValueError("a key of less than 16 characters can be guessed")
    return [hashlib.sha256(key.encode()).digest() for key in keys]


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
