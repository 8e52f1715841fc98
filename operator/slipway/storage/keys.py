"""Keys and URIs of object stores, taken apart and checked. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from slipway.storage.port import InvalidKey

MAX_KEY_BYTES = 1024
_BUCKET = re.compile(r"[a-z0-9][-a-z0-9.]{1,61}[a-z0-9]")
_SEGMENT = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)")
"""An empty segment, '.' or '..'."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class S3Location:
    """``s3://bucket/path``. `path` has no slash in front; it is empty for a whole bucket."""

    bucket: str
    path: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.path}".rstrip("/") if not self.path else f"s3://{self.bucket}/{self.path}"


def parse_s3(uri: str) -> S3Location:
    """Takes ``s3://bucket/path`` apart; percent signs, '?' and '#' are part of the key. Raises InvalidKey."""
    text = uri.strip()
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() != "s3":
        hint = " (s3a:// is Spark's spelling: write s3://)" if scheme.lower() in ("s3a", "s3n") else ""
        raise InvalidKey(f"{redact(text)!r} is not an S3 URI: write s3://bucket/key{hint}")
    bucket, _, path = rest.partition("/")
    if not bucket:
        raise InvalidKey(f"{text!r} names no bucket: write s3://bucket/key")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        rule = "3 to 63 lower-case letters, digits, '.' and '-', a letter or digit at both ends"
        raise InvalidKey(f"{redact(text)!r}: {redact(bucket)!r} cannot be a bucket's name: {rule}")
    if path:
        check_key(path.rstrip("/") or path)
    return S3Location(bucket, path)


def check_key(key: str) -> str:
    """`key` when every store can hold it: 1 to 1024 bytes of UTF-8 without empty, '.' or '..' segments or control
    characters. Raises InvalidKey."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(f"key {key!r} is not text that UTF-8 can hold") from error
    if not 1 <= size <= MAX_KEY_BYTES:
        raise InvalidKey(f"key {key[:60]!r} is {size} bytes long, 1 to {MAX_KEY_BYTES} are possible")
    if _SEGMENT.search(key):
        raise InvalidKey(f"key {key!r} has an empty, '.' or '..' segment")
    if _CONTROL.search(key):
        raise InvalidKey(f"key {key!r} holds a control character")
    return key


def file_path(uri: str) -> str:
    """The folder of a ``file:///folder`` URI. Raises InvalidKey."""
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidKey(f"{uri!r} is not a folder's URI: write three slashes and an absolute path, file:///folder")
    return unquote(parts.path)


def redact(uri: str) -> str:
    """`uri` without a user's password, for messages."""
    return re.sub(r"(://[^/@:\s]*):[^/@\s]*@", r"\1:***@", uri)
