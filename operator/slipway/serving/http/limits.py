"""What a client may do, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    max_body: int = 16 << 20
    max_head: int = 64 << 10
    max_headers: int = 100
    max_buffered: int = 512 << 20
    """Of all bodies that are being received or worked on: more are answered 503."""
    max_connections: int = 16_384
    timeout: float = 30.0
    """From a request's first byte to its answer; how long a client may refuse to read is the same."""
    head_timeout: float = 10.0
    """From a request's first byte to the end of its head."""
    idle: float = 120.0
    """How long a kept connection may be silent: longer than clients and proxies keep theirs."""
    linger: float = 2.0
    """How long what a refused client still sends is read and dropped, so that it sees the refusal."""
