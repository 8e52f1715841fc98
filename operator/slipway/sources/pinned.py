"""Sources and inputs as they were when a build was planned: what a pod fetches, and what makes its identity. Pure."""

from __future__ import annotations

from pydantic import Field

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


class PinnedInput(Document):
    """Data to mount under ``/slipway/inputs/<name>``. One object becomes ``<name>/<file name>``; `digest` is its
    identity."""

    name: str
    digest: Digest
    s3: PinnedS3


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


def git_digest(pinned: PinnedGit) -> str:
    """Identity of a folder of a commit; URL and ref do not count."""
    return digest_of({"kind": "git", "commit": pinned.commit, "path": pinned.path})
