"""Sources and inputs as they were when a build was planned: what a pod fetches, and what makes its identity. Pure."""

from __future__ import annotations

from pydantic import Field

from slipway.features.records import ViewPin
from slipway.registry.records import Digest, Document, FileEntry, digest_of


class S3Object(Document):
    """One object as it was when the build was planned: the pod reads it with If-Match, so that it cannot change
    between."""

    key: str
    etag: str
    size: int = Field(ge=0)


class PinnedS3(Document):
    """Objects under one URI. `uri` is ``s3://bucket/key`` (one object) or ``s3://bucket/prefix/`` (all below it)."""

    uri: str
    objects: tuple[S3Object, ...]


class PinnedGit(Document):
    """A commit of a repository; `path` is the folder in it that is the source."""

    url: str
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    ref: str = ""
    path: str = ""


class PinnedSource(Document):
    """Code to run, pinned: exactly one of the members, none when the code is in the image."""

    kind: str
    """configMap | s3 | git | image."""
    uri: str
    """For people: ``configmap://ns/name``, ``s3://…``, the git URL, or the image."""
    digest: Digest
    """Identity of the source for the build identity."""
    files: tuple[FileEntry, ...] = ()
    """configMap: its keys, kept under ``blobs/``."""
    s3: PinnedS3 | None = None
    git: PinnedGit | None = None


class PinnedFeatures(Document):
    """Feature views as they were when the build was planned; the pod makes the training set out of them."""

    namespace: str
    views: tuple[ViewPin, ...]
    as_of: str
    """RFC 3339, EntityTime, or Latest: all that the pinned table versions hold."""
    time: str
    full_names: bool = False
    entities: PinnedS3 | None = None
    """None: the row of each entity that held at `as_of`."""


class PinnedSnapshot(Document):
    """A frozen training set."""

    namespace: str
    name: str
    number: int = Field(ge=1)
    digest: Digest
    files: tuple[FileEntry, ...]
    rows: int = Field(ge=0)
    as_of: str
    views: tuple[ViewPin, ...]


class PinnedInput(Document):
    """Data to mount under ``/slipway/inputs/<name>``: exactly one of the members. One object becomes ``<name>/<file
    name>``, features become ``<name>/data.parquet``; `digest` is its identity."""

    name: str
    digest: Digest
    s3: PinnedS3 | None = None
    features: PinnedFeatures | None = None
    snapshot: PinnedSnapshot | None = None

    @property
    def uri(self) -> str:
        """For people, and for lineage."""
        if self.s3 is not None:
            return self.s3.uri
        if self.snapshot is not None:
            return f"features://{self.snapshot.namespace}/{self.snapshot.name}:{self.snapshot.number}"
        views = self.features.views if self.features is not None else ()
        return "features://" + "+".join(pin.view for pin in views)

    @property
    def objects(self) -> tuple[S3Object, ...]:
        """Objects that are fetched for it."""
        if self.features is not None and self.features.entities is not None:
            return self.features.entities.objects
        return self.s3.objects if self.s3 is not None else ()

    @property
    def size(self) -> int:
        """Bytes that are fetched for it, as far as they are known."""
        own = sum(entry.size for entry in self.snapshot.files) if self.snapshot is not None else 0
        return own + sum(thing.size for thing in self.objects)


def is_tree(pinned: PinnedS3) -> bool:
    """Whether the URI named all objects below a prefix, and not one object."""
    return pinned.uri.endswith("/")


def relative_paths(pinned: PinnedS3) -> list[str]:
    """The path of each object below the URI; of a single object its file name. They are not checked yet."""
    if not is_tree(pinned):
        return [entry.key.rpartition("/")[2] for entry in pinned.objects]
    prefix = pinned.uri.partition("://")[2].partition("/")[2]
    return [entry.key.removeprefix(prefix) for entry in pinned.objects]


def s3_digest(pinned: PinnedS3) -> str:
    """Identity of S3 objects for a build: over the relative path, etag and size of each. The bucket and the prefix do
    not count, so that moving data within a store builds nothing again."""
    pairs = zip(relative_paths(pinned), pinned.objects, strict=True)
    return digest_of({"kind": "s3", "objects": sorted([path, entry.etag, entry.size] for path, entry in pairs)})


def input_digest(entry: PinnedInput) -> str:
    """Identity of an input for a build. Of features: definitions, table versions, entity rows and the as-of time, for
    the same of these give the same rows."""
    if entry.s3 is not None:
        return s3_digest(entry.s3)
    if entry.snapshot is not None:
        return digest_of({"kind": "snapshot", "digest": entry.snapshot.digest})
    features = entry.features
    if features is None:
        raise ValueError(f"input {entry.name} names no data")
    return digest_of(
        {
            "kind": "features",
            "asOf": features.as_of,
            "time": features.time,
            "fullNames": features.full_names,
            "entities": s3_digest(features.entities) if features.entities is not None else None,
            "views": [[pin.view, pin.definition, pin.table_version, pin.tables, pin.features] for pin in features.views],
        }
    )


def git_digest(pinned: PinnedGit) -> str:
    """Identity of a folder of a commit; URL and ref do not count."""
    return digest_of({"kind": "git", "commit": pinned.commit, "path": pinned.path})
