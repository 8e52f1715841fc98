"""A client of image registries: the OCI distribution API, as far as building and pushing images needs it.

Works with any registry of the specification; references say which one. Nothing that a registry has is sent again.
Source: OCI distribution specification 1.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from slipway.images import oci
from slipway.images.auth import PULL, PUSH, Scope
from slipway.images.blobs import Bytes, Content, Remote
from slipway.images.credentials import Credentials
from slipway.images.errors import (
    DigestMismatch,
    NotInRegistry,
    RegistryDenied,
    RegistryRefused,
    RegistryUnavailable,
)
from slipway.images.reference import Reference
from slipway.images.transport import Options, Transport
from slipway.images.upload import Progress, Tally, Upload

_ACCEPT = ", ".join(oci.MANIFEST_TYPES)
_MISSING = frozenset({404})


@dataclass(frozen=True)
class RawManifest:
    """A manifest as the registry gave it; `data` has the digest `digest`."""

    data: bytes
    media_type: str
    digest: str


class RegistryClient:
    """Talks to any number of registries. Thread-safe; all calls block. Use it as a context manager, or close it.

    All methods raise `RegistryError`: RegistryUnavailable (try again later), RegistryFull, RegistryDenied,
    NotInRegistry, RegistryRefused."""

    def __init__(self, options: Options | None = None, credentials: Credentials | None = None, **more: Any) -> None:
        """`more` goes to `Transport` (`sleep`, `jitter`)."""
        self._transport = Transport(options, credentials, **more)
        self.tally = Tally()
        """What this client sent, in total."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        self._transport.close()

    # ---- blobs ----

    def has_blob(self, where: Reference, digest: str, *, action: str = PULL) -> bool:
        """Whether the repository has the blob. `action`: the scope to ask it in, to save a login when a push follows."""
        scope = Scope(where.repository, action)
        path = f"/v2/{where.repository}/blobs/{digest}"
        return self._transport.send("HEAD", where.api_host, path, scope, accept=_MISSING).status_code == 200

    def blob(self, where: Reference, digest: str, *, limit: int = oci.MAX_DOCUMENT) -> bytes:
        """A small blob, checked. Raises DigestMismatch, RegistryRefused when it is larger than `limit` bytes."""
        path = f"/v2/{where.repository}/blobs/{digest}"
        with self._transport.stream(where.api_host, path, Scope(where.repository)) as answer:
            data = b"".join(_limited(answer.iter_bytes(), limit, f"{where.name}@{digest}"))
        _check(data, digest, where)
        return data

    def blob_pieces(self, where: Reference, digest: str, start: int, length: int) -> Iterator[bytes]:
        """`length` bytes of a blob from `start`, unchecked: whoever stores them checks the digest."""
        path = f"/v2/{where.repository}/blobs/{digest}"
        headers = {"Range": f"bytes={start}-{start + length - 1}", "Accept-Encoding": "identity"}
        with self._transport.stream(where.api_host, path, Scope(where.repository), headers=headers) as answer:
            skip = 0 if answer.status_code == 206 else start
            left = length
            for piece in answer.iter_raw():
                part = piece[skip:][:left]
                skip = max(0, skip - len(piece))
                left -= len(part)
                if part:
                    yield part
                if not left:
                    return
        raise RegistryUnavailable(f"registry {where.host} ended {digest} {left} bytes early")

    def remote(self, where: Reference, descriptor: oci.Descriptor) -> Remote:
        """A blob of `where` as content to push elsewhere."""
        return Remote(descriptor, lambda digest, start, length: self.blob_pieces(where, digest, start, length))

    def push_blob(
        self,
        to: Reference,
        content: Content,
        *,
        mount_from: Sequence[Reference] = (),
        tally: Tally | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Makes the repository have the blob: it has it already, or gets it from a repository of the same registry
        (`mount_from`, best first), or it is uploaded. `progress` is told of bytes sent."""
        count = tally or self.tally
        if self.has_blob(to, content.digest, action=PUSH):
            count.add(existing=1)
            return
        session = self._mounted(to, content.digest, mount_from)
        if session is not None and session.status_code == 201:
            count.add(mounted=1)
            return
        Upload(self._transport, to.api_host, to.repository, content, count, session=session, progress=progress).run()

    def mount(self, to: Reference, digest: str, sources: Sequence[Reference], *, tally: Tally | None = None) -> bool:
        """Whether the blob could be mounted from one of the repositories `sources`."""
        for source in sources:
            answer = self._mounted(to, digest, (source,))
            if answer is not None and answer.status_code == 201:
                (tally or self.tally).add(mounted=1)
                return True
        return False

    def _mounted(self, to: Reference, digest: str, sources: Sequence[Reference]) -> httpx.Response | None:
        """The first answer to a mount: 201 when it was done, 202 when it was refused and an upload opened instead."""
        for source in sources:
            if source.host == to.host and source.repository != to.repository:
                answer = self._mount(to, digest, source)
                if answer is not None:
                    return answer
        return None

    def _mount(self, to: Reference, digest: str, source: Reference) -> httpx.Response | None:
        scope = Scope(to.repository, PUSH, (source.repository,))
        url = f"/v2/{to.repository}/blobs/uploads/?mount={quote(digest, safe='')}&from={quote(source.repository, safe='')}"
        try:
            return self._transport.send("POST", to.api_host, url, scope, headers={"Content-Length": "0"})
        except (RegistryRefused, NotInRegistry, RegistryDenied):
            return None  # no right to read there, or no mounts at all: it is uploaded then

    # ---- manifests ----

    def manifest(self, what: Reference) -> RawManifest:
        """The manifest or index, checked against its digest. Raises DigestMismatch."""
        path = f"/v2/{what.repository}/manifests/{what.target}"
        answer = self._transport.send("GET", what.api_host, path, Scope(what.repository), headers={"Accept": _ACCEPT})
        data = answer.content
        if len(data) > oci.MAX_DOCUMENT:
            raise RegistryRefused(f"{what}: its manifest has more than {oci.MAX_DOCUMENT} bytes")
        if what.digest is not None:
            _check(data, what.digest, what)
        return RawManifest(data, answer.headers.get("content-type", ""), what.digest or oci.sha256(data))

    def resolve(self, what: Reference) -> Reference:
        """The same image by digest: what its tag names now."""
        return what.bare.with_digest(self.find(what) or self.manifest(what).digest)

    def find(self, what: Reference, *, action: str = PULL) -> str | None:
        """The digest of the manifest at a tag or digest; None when there is none, or the registry does not say."""
        path = f"/v2/{what.repository}/manifests/{what.target}"
        answer = self._transport.send(
            "HEAD", what.api_host, path, Scope(what.repository, action), headers={"Accept": _ACCEPT}, accept=_MISSING
        )
        digest = answer.headers.get("docker-content-digest")
        return digest if answer.status_code == 200 and digest else None

    def put_manifest(self, to: Reference, data: bytes, media_type: str, *, tally: Tally | None = None) -> bool:
        """Makes `to` (a tag or digest) name this manifest. Returns whether it was sent: what is right already is left."""
        count = tally or self.tally
        digest = oci.sha256(data)
        if self.find(to, action=PUSH) == digest:
            return False
        path = f"/v2/{to.repository}/manifests/{to.target}"
        headers = {"Content-Type": media_type, "Content-Length": str(len(data))}

        def body() -> Iterator[bytes]:
            count.add(bytes_sent=len(data))
            yield data

        answer = self._transport.send("PUT", to.api_host, path, Scope(to.repository, PUSH), headers=headers, body=body)
        stored = answer.headers.get("docker-content-digest", digest)
        if stored != digest:
            raise DigestMismatch(f"registry {to.host} stored {stored} where {digest} was sent to {to.name}")
        count.add(manifests=1)
        return True

    # ---- referrers ----

    def attach(
        self, subject: Reference, described: oci.Descriptor, document: bytes, media_type: str, *, tally: Tally | None = None
    ) -> oci.Descriptor:
        """Stores `document` beside the image `subject`, whose manifest is `described`; returns its own manifest's
        descriptor. Registries without the referrers API get the specification's fall-back, an index at a tag."""
        where, count = subject.bare, tally or self.tally
        for data in (oci.EMPTY_JSON, document):
            self.push_blob(where, Bytes(data), tally=count)
        manifest = oci.Manifest(
            artifact_type=media_type,
            config=oci.describe(oci.EMPTY_JSON, oci.EMPTY),
            layers=(oci.describe(document, media_type),),
            subject=described,
        )
        data = manifest.to_json()
        descriptor = oci.describe(data, oci.MANIFEST, artifact_type=media_type)
        self.put_manifest(where.with_digest(descriptor.digest), data, oci.MANIFEST, tally=count)
        if not self._lists_referrers(where, described.digest):
            self._add_to_index(where, described.digest, descriptor, count)
        return descriptor

    def referrers(self, subject: Reference) -> tuple[oci.Descriptor, ...]:
        """Manifests whose subject is the image `subject` (a reference with a digest)."""
        digest = subject.digest or self.resolve(subject).target
        path = f"/v2/{subject.repository}/referrers/{digest}"
        answer = self._transport.send("GET", subject.api_host, path, Scope(subject.repository), accept=_MISSING)
        if answer.status_code == 200:
            return _index(answer.content, f"the referrers of {subject}").manifests
        try:
            found = self.manifest(subject.bare.with_tag(_referrers_tag(digest)))
        except NotInRegistry:
            return ()
        return _index(found.data, f"the referrers of {subject}").manifests

    def _lists_referrers(self, where: Reference, digest: str) -> bool:
        path = f"/v2/{where.repository}/referrers/{digest}"
        try:
            answer = self._transport.send("GET", where.api_host, path, Scope(where.repository, PUSH), accept=_MISSING)
        except RegistryRefused:
            return False
        return answer.status_code == 200

    def _add_to_index(self, where: Reference, digest: str, descriptor: oci.Descriptor, tally: Tally) -> None:
        tag = where.with_tag(_referrers_tag(digest))
        try:
            present = _index(self.manifest(tag).data, str(tag)).manifests
        except NotInRegistry:
            present = ()
        others = tuple(entry for entry in present if entry.digest != descriptor.digest)
        index = oci.Index(manifests=tuple(sorted((*others, descriptor), key=lambda entry: entry.digest)))
        self.put_manifest(tag, index.to_json(), oci.INDEX, tally=tally)


def _referrers_tag(digest: str) -> str:
    return digest.replace(":", "-")


def _index(data: bytes, what: str) -> oci.Index:
    try:
        return oci.Index.model_validate_json(data)
    except ValidationError as error:
        raise RegistryRefused(f"{what}: not an OCI index") from error


def _check(data: bytes, digest: str, where: Reference) -> None:
    found = oci.sha256(data)
    if found != digest:
        raise DigestMismatch(f"registry {where.host} gave {found} where {digest} of {where.name} was asked for")


def _limited(pieces: Iterator[bytes], limit: int, what: str) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise RegistryRefused(f"{what} has more than {limit} bytes")
        yield piece
