"""The common case of the common requests, without the two milliseconds that boto3 takes around each.

A request is signed by botocore's own signer with the client's own credentials and sent over connections of its own: several at
once where asked for, plain sockets over http (`slipway.storage.wire`), botocore's over https or a proxy. Only a plain success,
a plain "no such key" and a plain refusal of a condition are taken from here; with any other outcome the caller asks again
through boto3, which knows retries, redirects, refreshed credentials and errors. Every request may be repeated: a conditional
write that was done by the first one is refused to the second, and callers of such writes read what is there.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectInfo
from slipway.storage.wire import Reply, Request, Wire

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_SAFE = "/-_.~"
_NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
_AT_ONCE = 16
_CONDITIONS = frozenset({"If-Match", "If-None-Match"})


@dataclass(frozen=True)
class Ask:
    """One request, of an object, or without `key` of the bucket."""

    method: str
    bucket: str
    key: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        """As it stands in the request, with the query."""
        path = f"/{self.bucket}/{quote(self.key, safe=_SAFE)}" if self.key else f"/{self.bucket}"
        return path + (f"?{urlencode(sorted(self.query.items()), quote_via=quote)}" if self.query else "")


@dataclass(frozen=True)
class Answer:
    """A success: status 200."""

    data: bytes
    headers: Mapping[str, str]

    @property
    def etag(self) -> str:
        """Without quotes; empty when the store gave none."""
        return self.headers.get("etag", "").strip('"')

    @property
    def modified(self) -> datetime | None:
        """When the object was written, by the store's clock."""
        value = self.headers.get("last-modified")
        return parsedate_to_datetime(value) if value else None


MISSING = Answer(b"", {})
"""The store has said that there is no such object."""
REFUSED = Answer(b"", {})
"""The store has said that a condition did not hold: nothing was written."""


@dataclass(frozen=True)
class Failed:
    """No whole answer, or one of a store in trouble: a write may have been done all the same. `error` is as boto3 raises it."""

    error: Exception


class Quick:
    """Quick requests of one client. `path_style` only: other stores are far away, and there boto3's time does not matter."""

    def __init__(self, client: S3Client, connections: int) -> None:
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        meta = client.meta
        self._base = meta.endpoint_url.rstrip("/")
        self._region = meta.region_name
        config: Any = meta.config
        self._agent = str(config.user_agent)
        self._signer: Any = client._request_signer  # type: ignore[attr-defined]  # where the client keeps its credentials
        make: Any = URLLib3Session  # its stubs know fewer types than it takes
        self._session = make(
            timeout=(config.connect_timeout, config.read_timeout), max_pool_connections=connections, socket_options=_NO_DELAY
        )
        place = urlsplit(self._base)
        name = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname or ""
        self._host = f"{name}:{place.port}" if place.port not in (None, 80) else name  # as the signer has it
        self._wire: Wire | None = None
        if place.scheme == "http" and place.hostname and not place.path and not get_environ_proxies(self._base):
            self._wire = Wire(
                place.hostname,
                place.port or 80,
                connect_timeout=config.connect_timeout,
                read_timeout=config.read_timeout,
                connections=min(_AT_ONCE, connections),
            )

    def request(self, ask: Ask) -> Answer | Failed | None:
        """MISSING, REFUSED, or for anything else but a plain success None or Failed: ask again through boto3."""
        return self.requests([ask])[0]

    def requests(self, asks: Sequence[Ask]) -> list[Answer | Failed | None]:
        """As `request`, of several at once."""
        credentials = self._signer._credentials
        if credentials is None:
            return [None] * len(asks)
        replies: list[Reply | Exception]
        try:
            frozen = credentials.get_frozen_credentials()
            if self._wire is not None:
                replies = self._wire.exchange([self._raw(ask, frozen) for ask in asks])
            else:
                replies = in_parallel(lambda ask: self._sent(ask, frozen), asks, _AT_ONCE)
        except Exception:
            return [None] * len(asks)  # whatever it was: boto3 meets it again, and says what it is
        return [_judged(ask, reply) for ask, reply in zip(asks, replies, strict=True)]

    def _signed(self, ask: Ask, credentials: Any) -> Any:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        url, headers = self._base + ask.path, {"User-Agent": self._agent, **ask.headers}
        request = AWSRequest(ask.method, url, headers=headers, data=ask.body or None)
        S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
        return request

    def _raw(self, ask: Ask, credentials: Any) -> Request:
        request = self._signed(ask, credentials)
        headers = {"Host": self._host, **request.headers}
        if ask.method == "PUT":
            headers["Content-Length"] = str(len(ask.body))
        lines = "".join(f"{name}: {_text(value)}\r\n" for name, value in headers.items())
        head = f"{ask.method} {ask.path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        return Request(head, ask.body, bodiless=ask.method == "HEAD")

    def _sent(self, ask: Ask, credentials: Any) -> Reply | Exception:
        try:
            request = self._signed(ask, credentials)
            if ask.method == "PUT" and not ask.body:
                request.headers["Content-Length"] = "0"
            answer = self._session.send(request.prepare())
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Reply(answer.status_code, headers, answer.content)
        except Exception as error:
            return error


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _judged(ask: Ask, reply: Reply | Exception) -> Answer | Failed | None:
    if isinstance(reply, Exception):
        return Failed(reply)
    if reply.status >= 500:
        return Failed(_trouble(reply))
    if reply.status == 404 and ask.method == "GET" and ask.key and b"<Code>NoSuchKey</Code>" in reply.data:
        return MISSING
    if reply.status == 412 and _CONDITIONS & set(ask.headers) and b"<Code>PreconditionFailed</Code>" in reply.data:
        return REFUSED
    if reply.status != 200:
        return None
    length = reply.headers.get("content-length")
    if ask.method == "GET" and length is not None and int(length) != len(reply.data):
        return None
    return Answer(reply.data, reply.headers)


def _trouble(reply: Reply) -> Exception:
    from botocore.exceptions import ClientError

    said = {"Code": str(reply.status), "Message": ""}
    for name in said:
        found = re.search(f"<{name}>(.*?)</{name}>".encode(), reply.data, re.DOTALL)
        said[name] = found[1].decode(errors="replace") if found else said[name]
    return ClientError({"Error": said, "ResponseMetadata": {"HTTPStatusCode": reply.status}}, "Quick")  # type: ignore[typeddict-item]


def parse_list(data: bytes, prefix: str, *, whole: bool) -> list[ObjectInfo] | None:
    """The objects of one page of a list, their keys without `prefix`. None when it cannot be read, or, with `whole`, when there
    are more pages."""
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - Python's expat expands no external entities
    except ElementTree.ParseError:
        return None
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    if whole and root.findtext(f"{space}IsTruncated") != "false":
        return None
    found = []
    for item in root.iter(f"{space}Contents"):
        key, size, etag, modified = (item.findtext(f"{space}{name}") for name in ("Key", "Size", "ETag", "LastModified"))
        if key is None or size is None or not key.startswith(prefix):
            return None
        at = datetime.fromisoformat(modified) if modified else None
        found.append(ObjectInfo(key.removeprefix(prefix), int(size), (etag or "").strip('"'), at))
    return found
