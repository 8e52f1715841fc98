"""The documents that the registry keeps, as data: what a version is, what an attempt reported, how an alias moved.

Every document carries ``schemaVersion``; a reader accepts older ones, and says clearly when one is newer than itself.
JSON names are camelCase; times are RFC 3339 in UTC; digests are ``sha256:<64 hex>``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Scalar = bool | int | float | str
SCHEMA_VERSION = 1


class Document(BaseModel):
    """Base of all stored documents: immutable, camelCase in JSON, unknown fields kept out."""

    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore", ser_json_inf_nan="strings"
    )

    def to_json(self) -> bytes:
        """The document as canonical JSON bytes (sorted keys, no spaces), the form that is stored."""
        return canonical_json(self.model_dump(mode="json", by_alias=True, exclude_none=True))


def canonical_json(value: Any) -> bytes:
    """`value` as JSON bytes that depend on its content only: sorted keys, no white space, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(value: Any) -> str:
    """``sha256:<hex>`` over the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


class FileEntry(Document):
    """One immutable file: where it lies in its tree (POSIX, relative), and what it holds. `size` in bytes."""

    path: str
    digest: Digest
    size: int = Field(ge=0)
    media_type: str = "application/octet-stream"


def root_digest(files: Iterable[FileEntry]) -> str:
    """The digest of a tree of files: over the sorted list of path, digest and size; media types do not count."""
    return digest_of(sorted([f.path, f.digest, f.size] for f in files))


class TensorSpec(Document):
    """One input or output in Open Inference Protocol terms: `datatype` as FP32 or BYTES, -1 in `shape` for any
    length."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Signature(Document):
    """What a model takes and gives. `columns` names the features of a single 2-D input, in order, when they are
    known."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    columns: tuple[str, ...] = ()
    example: dict[str, Any] | None = None
    """Input name to nested lists of one example row, used to warm a server up."""


class UsedView(Document):
    """A feature view that a build read: its definition, and the version of its table (of `tables`, when it is SQL over
    others)."""

    view: str
    revision: int
    definition: Digest
    table_version: int | None = None
    tables: dict[str, int] = Field(default_factory=dict)


class FeatureRecord(Document):
    """How an input was made of feature views. With the same views, entity rows and as-of time it comes out the same."""

    as_of: str
    """RFC 3339, EntityTime, or Latest: all that the table versions held."""
    views: tuple[UsedView, ...]
    entities: str | None = None
    """Where the entity rows lay."""
    snapshot: Digest | None = None
    """Of the frozen training set, when it was one."""
    identity: Digest | None = None
    """Of what it was made of, as the build pinned it."""


class InputRecord(Document):
    """Data that a build read. `digest` covers the bytes of all objects under `uri`."""

    name: str
    uri: str
    digest: Digest
    size: int = Field(ge=0)
    rows: int | None = None
    features: FeatureRecord | None = None


class SourceRecord(Document):
    """The code that a build ran. `digest` is the root digest of its files as they were unpacked."""

    kind: Literal["configMap", "s3", "git", "image", "local"]
    uri: str
    digest: str
    commit: str | None = None


class Environment(Document):
    """Where a model was trained: what is needed to do it again."""

    python: str | None = None
    platform: str | None = None
    image: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)


class GateResult(Document):
    """One evaluation gate and how it came out. `value` and `bound` as the numbers that were compared."""

    metric: str
    passed: bool
    message: str
    value: float | None = None
    bound: float | None = None


class JobResult(Document):
    """What a pod reports of any attempt, training or app build: the part that decides what follows."""

    schema_version: int = SCHEMA_VERSION
    build_id: Digest
    attempt: int = Field(ge=1)
    outcome: Literal["Succeeded", "Failed"]
    reason: str
    """CamelCase; a word of `slipway.training.contract` or `slipway.images.contract`."""
    message: str = Field(default="", max_length=4096)
    logs: tuple[FileEntry, ...] = ()
    started_at: datetime
    finished_at: datetime
    timings: dict[str, float] = Field(default_factory=dict)
    """Seconds by step."""


class AttemptResult(JobResult):
    """What one training attempt reports, written last by its pod; the operator turns it into a version."""

    files: tuple[FileEntry, ...] = ()
    format: str | None = None
    """``onnx``, ``skops`` …: told by content, not by file name."""
    signature: Signature | None = None
    params: dict[str, Scalar] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    conversion: dict[str, Any] | None = None
    """How the estimator became `format`: converter, tolerance, largest difference seen, or why it fell back."""
    reports: tuple[FileEntry, ...] = ()
    environment: Environment = Environment()
    inputs: tuple[InputRecord, ...] = ()
    source: SourceRecord | None = None


class VersionDraft(Document):
    """Everything of a version but its number: what a caller hands to `Registry.register`."""

    model: str
    """``<namespace>/<model>``."""
    build_id: Digest
    """Build identity. Registering the same one twice gives the same version."""
    reason: str
    files: tuple[FileEntry, ...]
    format: str
    signature: Signature | None = None
    params: dict[str, Scalar] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()
    conversion: dict[str, Any] | None = None
    environment: Environment = Environment()
    inputs: tuple[InputRecord, ...] = ()
    source: SourceRecord | None = None
    reports: tuple[FileEntry, ...] = ()
    logs: tuple[FileEntry, ...] = ()
    attestations: tuple[FileEntry, ...] = ()
    """Statements about the version: provenance, bill of materials, signature (`slipway.provenance`)."""
    attempt: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    timings: dict[str, float] = Field(default_factory=dict)
    builder: str = "slipway"
    tags: dict[str, str] = Field(default_factory=dict)

    def every_file(self) -> tuple[FileEntry, ...]:
        """All that the version refers to by digest: what has to be there with it, and is kept for it."""
        return (*self.files, *self.reports, *self.logs, *self.attestations)


class VersionRecord(VersionDraft):
    """An immutable version of a model as stored. `digest` is the root digest of `files`."""

    schema_version: int = SCHEMA_VERSION
    version: int = Field(ge=1)
    digest: Digest
    created_at: datetime
    writer: str
    """UUID of the writing call: after a time-out a writer recognises its own record by it."""


class AliasMove(Document):
    """One move of an alias; the highest number is the present. `version` None means the alias was taken away."""

    schema_version: int = SCHEMA_VERSION
    number: int = Field(ge=1)
    model: str
    alias: str
    version: int | None = None
    previous: int | None = None
    at: datetime
    by: str
    reason: str = ""
    writer: str
    changed: bool = Field(default=True, exclude=True)
    """False in the answer to a move that had nothing to do; not stored."""


class Refusal(Document):
    """A decision that a version is not promoted to an alias. `expired`: nobody approved it in time."""

    schema_version: int = SCHEMA_VERSION
    model: str
    alias: str
    version: int = Field(ge=1)
    at: datetime
    by: str
    reason: str = ""
    expired: bool = False
    writer: str


class Pin(Document):
    """Who uses a version, for garbage collection."""

    schema_version: int = SCHEMA_VERSION
    kind: str
    namespace: str
    name: str
    versions: tuple[str, ...] = ()
    """``<namespace>/<model>:<number>`` each."""
    blobs: tuple[Digest, ...] = ()
    images: tuple[str, ...] = ()
    """Images that it runs the versions with, by digest."""
    at: datetime


class RolloutRecord(Document):
    """A revision of a ModelDeployment that took over at `at`, or was given up then, for `reason`."""

    schema_version: int = SCHEMA_VERSION
    namespace: str
    name: str
    outcome: Literal["Served", "Held"]
    model: str
    """``<namespace>/<model>``."""
    version: int
    digest: Digest
    revision: str
    image: str = ""
    at: datetime
    reason: str | None = None
    message: str = ""
    spec: Digest | None = None
    """Held: digest of the spec that it was given up under; another spec is another try."""
