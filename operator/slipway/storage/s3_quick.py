"""The common case of the common requests, without the two milliseconds that boto3 takes around each.

A request is signed by botocore's own signer with the client's own credentials and sent over its own connections. Only a plain
success is taken from here; with any other outcome the caller asks again through boto3, which knows retries, redirects,
refreshed credentials and errors. Only requests that may be repeated go this way: reads, lists, and writes without a condition.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from slipway.storage.port import ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_SAFE = "/-_.~"
_NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
"""Else the kernel holds a small body back until its headers were acknowledged, 40 ms later."""


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


class Quick:
    """Quick requests of one client. `path_style` only: other stores are far away, and there boto3's time does not matter."""

    def __init__(self, client: S3Client, connections: int) -> None:
        from botocore.httpsession import URLLib3Session

        meta = client.meta
        self._base = meta.endpoint_url.rstrip("/")
        self._region = meta.region_name
        config: Any = meta.config
        self._agent = str(config.user_agent)
        make: Any = URLLib3Session  # its stubs know fewer types than it takes
        self._session = make(
            timeout=(config.connect_timeout, config.read_timeout), max_pool_connections=connections, socket_options=_NO_DELAY
        )
        self._signer: Any = client._request_signer  # type: ignore[attr-defined]  # where the client keeps its credentials

    def request(
        self,
        method: str,
        bucket: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer | None:
        """MISSING, or None for anything else but a plain success: ask again through boto3."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest

        credentials = self._signer._credentials
        if credentials is None:
            return None
        path = f"/{bucket}/{quote(key, safe=_SAFE)}" if key else f"/{bucket}"
        url = f"{self._base}{path}" + (f"?{urlencode(sorted(query.items()), quote_via=quote)}" if query else "")
        try:
            request = AWSRequest(method, url, headers={"User-Agent": self._agent, **(headers or {})}, data=body or None)
            S3SigV4Auth(credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
            answer = self._session.send(request.prepare())
            if answer.status_code == 404 and method == "GET" and b"<Code>NoSuchKey</Code>" in answer.content:
                return MISSING
            if answer.status_code != 200:
                return None
            headers_found = {name.lower(): value for name, value in answer.headers.items()}
            length = headers_found.get("content-length")
            if method == "GET" and length is not None and int(length) != len(answer.content):
                return None
            return Answer(answer.content, headers_found)
        except Exception:
            return None  # whatever it was: boto3 meets it again, and says what it is


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
