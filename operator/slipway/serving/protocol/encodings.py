"""Compressed bodies. Pure."""

from __future__ import annotations

import zlib

from slipway.serving.errors import BadInput, HTTPError

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """`body` without its content-encoding. Raises HTTPError: 415 for an encoding that is not known, 413 for more than
    `limit` bytes; BadInput for what is damaged."""
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return body
    if kind not in _WINDOWS:
        raise HTTPError(415, f"content-encoding {encoding[:40]!r}: gzip and deflate are taken")
    unpacker = zlib.decompressobj(_WINDOWS[kind])
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadInput(f"body: it is no {kind}: {error}") from error
    if len(plain) > limit:
        raise HTTPError(413, f"body: more than {limit} bytes when unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise BadInput(f"body: it is no whole {kind} stream")
    return plain
