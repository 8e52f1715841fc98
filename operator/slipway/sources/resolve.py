"""The operator's side: what a resource names, pinned to what it is at this moment. Blocking, except for ConfigMaps."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from slipway.registry.errors import UnsafePath
from slipway.registry.names import check_path
from slipway.registry.records import FileEntry, root_digest
from slipway.sources.errors import InputMissing, SourceInvalid, SourceMissing
from slipway.sources.git import DEFAULT_TIMEOUT, find_commit
from slipway.sources.pinned import PinnedGit, PinnedS3, PinnedSource, S3Object, git_digest, relative_paths, s3_digest
from slipway.storage.keys import S3Location, parse_s3
from slipway.storage.port import InvalidKey, NoBucket, NotFound, ObjectStore, Stores

MAX_OBJECTS = 10_000


@dataclass(frozen=True)
class ResolvedS3:
    """Objects as they are now, and the identity that they give a build."""

    pinned: PinnedS3
    digest: str


@dataclass(frozen=True)
class ResolvedGit:
    """A commit, and the identity that it gives a build."""

    pinned: PinnedGit
    digest: str


def pin_configmap(
    namespace: str, name: str, data: Mapping[str, str], binary_data: Mapping[str, str]
) -> tuple[PinnedSource, dict[str, bytes]]:
    """A ConfigMap's keys as files, and their bytes by digest, to be kept as blobs. `binary_data` is base64, as the API
    has it. Pure. Raises SourceMissing when there is no key, SourceInvalid."""
    uri = f"configmap://{namespace}/{name}"
    contents = {key: text.encode() for key, text in data.items()}
    for key, text in binary_data.items():
        try:
            contents[key] = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise SourceInvalid(f"ConfigMap {namespace}/{name}: binaryData {key!r} is not base64") from error
    if not contents:
        raise SourceMissing(f"ConfigMap {namespace}/{name} has no data: put the code's files into it as keys")
    blobs: dict[str, bytes] = {}
    files = []
    for key in sorted(contents):
        try:
            check_path(key)
        except UnsafePath as error:
            raise SourceInvalid(f"ConfigMap {namespace}/{name}: {error}") from error
        digest = "sha256:" + hashlib.sha256(contents[key]).hexdigest()
        blobs[digest] = contents[key]
        files.append(FileEntry(path=key, digest=digest, size=len(contents[key])))
    source = PinnedSource(kind="configMap", uri=uri, digest=root_digest(files), files=tuple(files))
    return source, blobs


def pin_s3(stores: Stores, uri: str) -> ResolvedS3:
    """The object at ``s3://bucket/key``, or all objects below ``s3://bucket/prefix/``, as they are now. Raises
    InputMissing when there is none, SourceInvalid for a malformed URI or too many objects, and the store's errors."""
    try:
        location = parse_s3(uri)
    except InvalidKey as error:
        raise SourceInvalid(str(error)) from error
    store = stores(location.bucket)
    try:
        tree = not location.path or location.path.endswith("/")
        objects = _below(store, location) if tree else _single(store, location)
    except NoBucket as error:
        raise InputMissing(str(error)) from error
    pinned = PinnedS3(uri=f"s3://{location.bucket}/{location.path}", objects=tuple(objects))
    for path in relative_paths(pinned):
        try:
            check_path(path)
        except UnsafePath as error:
            raise SourceInvalid(f"{pinned.uri}: {error}: rename the object") from error
    return ResolvedS3(pinned, s3_digest(pinned))


def pin_git(
    url: str,
    ref: str | None = None,
    path: str | None = None,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    allow_file: bool = False,
) -> ResolvedGit:
    """The commit that `ref` (a branch, a tag, a full commit; None: the default branch) names now. `path` is the folder
    that is the source. `timeout` in seconds. Raises SourceMissing, SourceInvalid, SourceUnavailable."""
    folder = (path or "").strip().strip("/")
    if folder in (".", ""):
        folder = ""
    else:
        try:
            check_path(folder)
        except UnsafePath as error:
            raise SourceInvalid(f"git path: {error}") from error
    commit = find_commit(url, ref or "", timeout=timeout, allow_file=allow_file)
    pinned = PinnedGit(url=url, commit=commit, ref=ref or "", path=folder)
    return ResolvedGit(pinned, git_digest(pinned))


def _single(store: ObjectStore, location: S3Location) -> list[S3Object]:
    try:
        info = store.head(location.path)
    except NotFound as error:
        below = next(store.list(f"{location.path}/", limit=1), None)
        hint = f"; there are objects below it: write {location}/ for all of them" if below else ""
        raise InputMissing(f"there is no object {location}{hint}") from error
    return [S3Object(key=location.path, etag=info.etag, size=info.size)]


def _below(store: ObjectStore, location: S3Location) -> list[S3Object]:
    found = []
    for info in store.list(location.path):
        if info.key.endswith("/"):
            continue  # the mark that some tools leave for a folder
        found.append(S3Object(key=info.key, etag=info.etag, size=info.size))
        if len(found) > MAX_OBJECTS:
            raise SourceInvalid(f"there are more than {MAX_OBJECTS} objects below {location}: name a longer prefix")
    if not found:
        raise InputMissing(f"there are no objects below {location}")
    return found
