"""S3 and what speaks its language: the only importer of boto3.

`S3Connection` is one endpoint with one set of credentials and one pool of connections; `S3Store` is one bucket and
prefix on it. The boto3 client is made at the first request, because importing boto3 costs a quarter of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from slipway.storage import S3Options
from slipway.storage.keys import check_key, parse_s3
from slipway.storage.multipart import Multipart, end_unfinished
from slipway.storage.parallel import in_parallel, serialised
from slipway.storage.port import (
    Check,
    Denied,
    InvalidKey,
    NotFound,
    ObjectInfo,
    Precondition,
    Progress,
    Stored,
    Unavailable,
    unchecked,
)
from slipway.storage.s3_errors import Failure, mapped
from slipway.storage.s3_quick import MISSING, REFUSED, Answer, Ask, Failed, Quick, parse_list
from slipway.storage.s3_reader import BodyReader

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_READ_TRIES = 3
_PAGE = 1000
_AT_ONCE = 16


@dataclass(frozen=True)
class Access:
    """Endpoint and credentials as they were found, for another library. Credentials may be short-lived: ask again."""

    endpoint: str
    region: str
    path_style: bool
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    token: str | None = field(repr=False)


class S3Connection:
    """One endpoint. Thread-safe; give one to many stores."""

    def __init__(self, options: S3Options) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._bulk: S3Client | None = None
        self._quick: tuple[Quick | None] | None = None

    @property
    def client(self) -> S3Client:
        """The boto3 client, made at first use. Raises Denied when profile or credentials cannot be loaded."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = _make_client(self.options)
        return self._client

    @property
    def bulk(self) -> S3Client:
        """A client for parts of large files, which are known by a digest of their own: it does not hash their bytes once more
        to sign them, as clients do over plain http."""
        if self._bulk is None:
            client = self.client
            with self._lock:
                if self._bulk is None:
                    self._bulk = _make_client(self.options, unsigned=True) if client.meta.endpoint_url[:5] == "http:" else client
        return self._bulk

    @property
    def quick(self) -> Quick | None:
        """Quick requests, for stores with path-style addresses; None for others."""
        if self._quick is None:
            client = self.client
            with self._lock:
                style = (cast("Any", client.meta.config).s3 or {}).get("addressing_style")
                self._quick = (Quick(client, self.options.connections) if style == "path" else None,)
        return self._quick[0]

    def bucket(self, name: str) -> S3Store:
        """The whole bucket of that name."""
        return S3Store(self, name)

    def access(self) -> Access:
        """What the client uses now. Raises Denied without credentials."""
        client = self.client
        found = cast("Any", client)._request_signer._credentials  # the resolved, refreshing ones: boto3 has no public way
        if found is None:
            raise Denied(f"{client.meta.endpoint_url}: no credentials found: set AWS_ACCESS_KEY_ID, AWS_PROFILE or an identity")
        frozen = found.get_frozen_credentials()
        style = (cast("Any", client).meta.config.s3 or {}).get("addressing_style") == "path"
        return Access(
            client.meta.endpoint_url, client.meta.region_name, style, frozen.access_key, frozen.secret_key, frozen.token
        )


class S3Store:
    """An `ObjectStore` over a bucket and a prefix."""

    def __init__(self, connection: S3Connection, bucket: str, prefix: str = "") -> None:
        self.connection = connection
        self.bucket = bucket
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @classmethod
    def at(
        cls,
        uri: str,
        options: S3Options | None = None,
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
    ) -> S3Store:
        """The store at ``s3://bucket/prefix``; makes no request. Raises InvalidKey."""
        location = parse_s3(uri)
        options = options or S3Options()
        options = replace(options, endpoint_url=endpoint_url or options.endpoint_url, region=region or options.region)
        return cls(S3Connection(options), location.bucket, location.path)

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def get(self, key: str, *, if_match: str | None = None) -> Stored:
        """As the port says."""
        extra = {"IfMatch": f'"{if_match}"'} if if_match is not None else {}
        if if_match is None and (quick := self._quickly("GET", key)) is not None:
            if quick is MISSING:
                raise NotFound(f"no object {self._failure('read', key, 's3:GetObject').where}")
            return Stored(ObjectInfo(key, len(quick.data), quick.etag, quick.modified), quick.data)
        for last in (False,) * (_READ_TRIES - 1) + (True,):
            with self._errors("read", key, "s3:GetObject"):
                answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key), **cast("Any", extra))
            try:
                with BodyReader(answer["Body"], self._failure("read", key, "s3:GetObject")) as reader:
                    data = reader.read()
            except Unavailable:
                if last:
                    raise
                continue
            return Stored(ObjectInfo(key, len(data), _etag(answer["ETag"]), answer.get("LastModified")), data)
        raise AssertionError("unreachable")

    def get_many(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """As the port says."""
        quick = self.connection.quick
        asks = [Ask("GET", self.bucket, self._full(key)) for key in keys]
        answers = [_plain(answer) for answer in quick.requests(asks)] if quick is not None else [None] * len(asks)
        left = [key for key, answer in zip(keys, answers, strict=True) if answer is None]
        thorough = dict(zip(left, in_parallel(self._get_or_none, left, _AT_ONCE), strict=True))
        found: list[Stored | None] = []
        for key, answer in zip(keys, answers, strict=True):
            if answer is None or answer is MISSING:
                found.append(thorough.get(key))
            else:
                found.append(Stored(ObjectInfo(key, len(answer.data), answer.etag, answer.modified), answer.data))
        return found

    def _get_or_none(self, key: str) -> Stored | None:
        try:
            return self.get(key)
        except NotFound:
            return None

    def open(self, key: str, *, offset: int = 0, if_match: str | None = None) -> BinaryIO:
        """As the port says."""
        extra = {"IfMatch": f'"{if_match}"'} if if_match is not None else {}
        if offset:
            extra["Range"] = f"bytes={offset}-"
        with self._errors("read", key, "s3:GetObject"):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key), **cast("Any", extra))
        return cast("BinaryIO", BodyReader(answer["Body"], self._failure("read", key, "s3:GetObject")))

    def head(self, key: str) -> ObjectInfo:
        """As the port says."""
        if (quick := self._quickly("HEAD", key)) is not None and "content-length" in quick.headers:
            return ObjectInfo(key, int(quick.headers["content-length"]), quick.etag, quick.modified)
        with self._errors("look at", key, "s3:GetObject"):
            answer = self._client.head_object(Bucket=self.bucket, Key=self._full(key))
        return ObjectInfo(key, answer["ContentLength"], _etag(answer["ETag"]), answer.get("LastModified"))

    def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        """As the port says."""
        return self._put(key, data, content_type)

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/json") -> ObjectInfo:
        """As the port says."""
        return self._put(key, data, content_type, {"If-None-Match": "*"})

    def put_if_match(self, key: str, data: bytes, etag: str, *, content_type: str = "application/json") -> ObjectInfo:
        """As the port says."""
        return self._put(key, data, content_type, {"If-Match": f'"{etag}"'})

    def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = "application/octet-stream",
        progress: Progress | None = None,
        check: Check = unchecked,
    ) -> ObjectInfo:
        """As the port says: in parts, several at once, when larger than the options' `part_size`."""
        options = self.connection.options
        if path.stat().st_size <= options.part_size:
            data = path.read_bytes()
            check()
            info = self._put(key, data, content_type)
            if progress is not None:
                progress(info.size)
            return info
        failure = self._failure("write", key, "s3:PutObject")
        Multipart(
            self.connection.bulk,
            self.bucket,
            self._full(key),
            path,
            content_type,
            lambda: mapped(failure),
            options.parallel_parts,
            serialised(progress),
        ).run(options.part_size, check)
        return self.head(key)

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        """As the port says."""
        extra: dict[str, Any] = {"StartAfter": self.prefix + start_after} if start_after else {}
        left = limit
        if (page := self._short_list(prefix, start_after, limit)) is not None:
            yield from page
            return
        while left is None or left > 0:
            with self._errors("list", prefix, "s3:ListBucket"):
                answer = self._client.list_objects_v2(
                    Bucket=self.bucket, Prefix=self.prefix + prefix, MaxKeys=min(_PAGE, left or _PAGE), **extra
                )
            for item in answer.get("Contents", ())[:left]:
                key = item["Key"].removeprefix(self.prefix)
                yield ObjectInfo(key, item["Size"], _etag(item.get("ETag", "")), item.get("LastModified"))
                left = left - 1 if left is not None else None
            if not answer.get("IsTruncated"):
                return
            extra = {"ContinuationToken": answer["NextContinuationToken"]}

    def _short_list(self, prefix: str, start_after: str, limit: int | None) -> Sequence[ObjectInfo] | None:
        """A list that one page holds; None for a longer one."""
        quick = self.connection.quick
        if quick is None or (limit is not None and not 0 < limit <= _PAGE):
            return None
        query = {"list-type": "2", "prefix": self.prefix + prefix, "max-keys": str(limit or _PAGE)}
        if start_after:
            query["start-after"] = self.prefix + start_after
        answer = _plain(quick.request(Ask("GET", self.bucket, "", query)))
        return parse_list(answer.data, self.prefix, whole=limit is None) if answer is not None and answer is not MISSING else None

    def list_folders(self, prefix: str) -> Iterator[str]:
        """As the port says."""
        if prefix and not prefix.endswith("/"):
            raise InvalidKey(f"{prefix!r} is no folder: it must end with '/'")
        full = self.prefix + prefix
        extra: dict[str, Any] = {}
        while True:
            with self._errors("list", prefix, "s3:ListBucket"):
                answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=full, Delimiter="/", **extra)
            for item in answer.get("CommonPrefixes", ()):
                yield item["Prefix"].removeprefix(full).rstrip("/")
            if not answer.get("IsTruncated"):
                return
            extra = {"ContinuationToken": answer["NextContinuationToken"]}

    def delete(self, key: str) -> None:
        """As the port says."""
        with self._errors("delete", key, "s3:DeleteObject"):
            self._client.delete_object(Bucket=self.bucket, Key=self._full(key))

    def end_unfinished(self, prefix: str, before: datetime) -> int:
        """As the port says."""
        errors = partial(self._errors, "end uploads of", prefix, "s3:AbortMultipartUpload")
        return end_unfinished(self._client, self.bucket, self.prefix + prefix, before, errors)

    @property
    def _client(self) -> S3Client:
        return self.connection.client

    def _quickly(self, method: str, key: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer | None:
        return _plain(self._quick_answer(method, key, headers or {}, body))

    def _quick_answer(self, method: str, key: str, headers: Mapping[str, str], body: bytes) -> Answer | Failed | None:
        full = self._full(key)
        quick = self.connection.quick
        return quick.request(Ask(method, self.bucket, full, {}, headers, body)) if quick else None

    def _put(self, key: str, data: bytes, content_type: str, condition: Mapping[str, str] | None = None) -> ObjectInfo:
        condition = condition or {}
        quick = self._quick_answer("PUT", key, {"Content-Type": content_type, **condition}, data)
        if quick is REFUSED:
            raise Precondition(f"{self._failure('write', key, 's3:PutObject').where}: not as expected (412 PreconditionFailed)")
        if isinstance(quick, Answer):
            return ObjectInfo(key, len(data), quick.etag)
        with self._errors("write", key, "s3:PutObject", conditional=bool(condition)):
            if isinstance(quick, Failed) and self.connection.options.attempts == 1:
                raise quick.error  # that was the one try; another would be refused if this one was done
            answer = self._client.put_object(
                Bucket=self.bucket,
                Key=self._full(key),
                Body=data,
                ContentType=content_type,
                **cast("Any", {name.replace("-", ""): value for name, value in condition.items()}),
            )
        return ObjectInfo(key, len(data), _etag(answer["ETag"]))

    def _full(self, key: str) -> str:
        check_key(key)
        return check_key(self.prefix + key)

    def _failure(self, action: str, key: str, permission: str, *, conditional: bool = False) -> Failure:
        return Failure(action, self.bucket, self.prefix + key, permission, self.connection.options, conditional)

    def _errors(self, action: str, key: str, permission: str, *, conditional: bool = False) -> mapped:
        return mapped(self._failure(action, key, permission, conditional=conditional))


def _make_client(options: S3Options, *, unsigned: bool = False) -> S3Client:
    import boto3
    import botocore.session
    from botocore.config import Config

    failure = Failure("reach the store", "", "", "", options, False)
    with mapped(failure):
        core = botocore.session.Session()
        core.register_component("data_loader", _loader())
        session = boto3.session.Session(botocore_session=core, profile_name=options.profile, region_name=options.region)
        make = cast("Callable[..., S3Client]", partial(session.client, "s3", endpoint_url=options.endpoint_url))
        base = Config(
            connect_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            retries={"mode": "standard", "total_max_attempts": options.attempts},
            max_pool_connections=options.connections,
            tcp_keepalive=True,
            user_agent_extra="slipway",
        )
        region = options.region or session.region_name or "us-east-1"
        client = make(region_name=region, config=base)
        aws = _is_aws(client.meta.endpoint_url)
        relaxed = options.when_required_checksums if options.when_required_checksums is not None else not aws
        path_style = options.path_style if options.path_style is not None else not aws
        if not relaxed and not path_style and not unsigned:
            return client
        # The endpoint is known only now (boto3 finds it in the environment or a profile): once more, with its settings.
        checksums = "when_required" if relaxed else "when_supported"
        special = Config(
            s3={"addressing_style": "path" if path_style else "auto", **({"payload_signing_enabled": False} if unsigned else {})},
            request_checksum_calculation=cast("Any", checksums),
            response_checksum_validation=cast("Any", checksums),
        )
        return make(region_name=region, config=base.merge(special))


@cache
def _loader() -> Any:
    """The SDK's descriptions of services, read once: each session of its own would hold another 20 MB of them."""
    import botocore.session

    return botocore.session.Session().get_component("data_loader")


def _is_aws(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _plain(answer: Answer | Failed | None) -> Answer | None:
    return answer if isinstance(answer, Answer) else None


def _etag(value: str) -> str:
    return value.strip('"')
