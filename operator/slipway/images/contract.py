"""What the operator asks of the pod of an AppBuild, and the words in which the pod answers.

The request lies at ``attempts/<build id>/<n>/request.json``, the answer beside it as ``result.json``. The pod gets
only the two numbers that name them (``SLIPWAY_ATTEMPT=<build id as hex>/<n>``) and the model registry's URI
(``SLIPWAY_REGISTRY``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.registry.records import SCHEMA_VERSION, Digest, Document, JobResult, SourceRecord
from slipway.training.contract import PinnedSource, attempt_prefix

__all__ = [
    "FAILURES",
    "RETRYABLE",
    "AppBuildRequest",
    "AppBuildResult",
    "AppLayer",
    "Attestation",
    "request_key",
    "result_key",
]

# Reasons of a result. Those in RETRYABLE may pass when tried again; the others need a person or a new spec.
PUSHED = "Pushed"
SOURCE_MISSING = "SourceMissing"
SOURCE_CHANGED = "SourceChanged"
SOURCE_INVALID = "SourceInvalid"
ENTRYPOINT_INVALID = "EntrypointInvalid"
REQUIREMENTS_INVALID = "RequirementsInvalid"
REQUIREMENTS_UNSATISFIABLE = "RequirementsUnsatisfiable"
WHEEL_MISSING = "WheelMissing"
INDEX_UNAVAILABLE = "IndexUnavailable"
BASE_MISSING = "BaseMissing"
BASE_INCOMPATIBLE = "BaseIncompatible"
OUTPUT_INVALID = "OutputInvalid"
REGISTRY_UNAVAILABLE = "RegistryUnavailable"
REGISTRY_DENIED = "RegistryDenied"
REGISTRY_FULL = "RegistryFull"
STORE_UNAVAILABLE = "StoreUnavailable"
STORE_DENIED = "StoreDenied"
REQUEST_INVALID = "RequestInvalid"
BUILD_FAILED = "BuildFailed"
"""A fault that none of the others describes; its message holds what was raised."""
DEADLINE_EXCEEDED = "DeadlineExceeded"
SECRET_MISSING = "SecretMissing"  # noqa: S105  a reason
"""``output.credentialsSecret`` is not there, or holds no docker configuration."""
POD_FAILED = "PodFailed"
"""From the pod itself: it was told to end before its deadline, by a drain or an eviction."""
# Reasons that only the operator gives, from what it sees of the Job.
OUT_OF_MEMORY = "OutOfMemory"
JOB_GONE = "JobGone"

FAILURES = frozenset(
    {
        SOURCE_MISSING,
        SOURCE_CHANGED,
        SOURCE_INVALID,
        ENTRYPOINT_INVALID,
        REQUIREMENTS_INVALID,
        REQUIREMENTS_UNSATISFIABLE,
        WHEEL_MISSING,
        INDEX_UNAVAILABLE,
        BASE_MISSING,
        BASE_INCOMPATIBLE,
        OUTPUT_INVALID,
        REGISTRY_UNAVAILABLE,
        REGISTRY_DENIED,
        REGISTRY_FULL,
        SECRET_MISSING,
        STORE_UNAVAILABLE,
        STORE_DENIED,
        REQUEST_INVALID,
        BUILD_FAILED,
        OUT_OF_MEMORY,
        DEADLINE_EXCEEDED,
        JOB_GONE,
        POD_FAILED,
    }
)
RETRYABLE = frozenset(
    {
        INDEX_UNAVAILABLE,
        REGISTRY_UNAVAILABLE,
        REGISTRY_FULL,
        STORE_UNAVAILABLE,
        BUILD_FAILED,
        OUT_OF_MEMORY,
        JOB_GONE,
        POD_FAILED,
    }
)

APP_DIR = "/slipway/app"
"""Where the user's files are in the image."""
REQUIREMENTS_DIR = "/slipway/requirements"
"""Where the packages that the user asked for are in the image."""
ENTRYPOINT_ENV = "SLIPWAY_ENTRYPOINT"
"""Set in the image to the request's entrypoint, when it has one."""
PACKAGES_LABEL = "dev.slipway.packages"
"""On an image: ``name==version`` of all its Python packages, divided by spaces. App builds resolve against them."""
GLIBC_LABEL = "dev.slipway.glibc"
"""On an image: the version of its C library, which decides which wheels run."""

Platform = Annotated[str, Field(pattern=r"^linux/(amd64|arm64)$")]


class PreviousBuild(Document):
    """An attempt that succeeded, by what names it in the store."""

    build_id: Digest
    attempt: int = Field(ge=1)


class AppBuildRequest(Document):
    """All that the pod of an AppBuild needs to know.

    Package indexes are not in it: the resolver reads ``UV_DEFAULT_INDEX``, ``UV_INDEX`` and the like from the pod's
    environment, which can hold credentials.
    """

    schema_version: int = SCHEMA_VERSION
    build_id: Digest
    attempt: int = Field(ge=1)
    name: str
    """``<namespace>/<name>`` of the AppBuild, for annotations of the image."""
    source: PinnedSource
    entrypoint: str | None = None
    """``module:attribute`` in the source, checked without being run; None: the image only carries files."""
    base: str
    """``host[:port]/repository[:tag]@sha256:…``: pinned by its digest."""
    requirements: tuple[str, ...] = ()
    """PEP 508 lines, beside those of ``requirements.txt`` in the source."""
    repository: str
    """``host[:port]/repository`` to push to."""
    tags: tuple[str, ...] = ()
    """Moved to the new image last of all."""
    platform: Platform | None = None
    """None: that of the pod itself."""
    allow_sdists: bool = False
    """Let packages without a wheel be built in the pod, which runs their code."""
    insecure_registries: tuple[str, ...] = ()
    """``host:port`` of registries that are reached by plain http. Loopback always is."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """Seconds after which the pod gives up by itself and says so; the Job's own deadline should be a little later."""
    credentials_secret: str | None = None
    """Name of the Secret that ``DOCKER_CONFIG`` was mounted from, for messages."""
    refresh: bool = False
    """Resolve the requirements anew, although a resolution for the same lines is recorded."""
    previous: PreviousBuild | None = None
    """A build that differs in nothing but the base: its own layers may be put on the new one (a rebase)."""


class AppLayer(Document):
    """A layer of the image as it is stored. `size` in bytes, compressed."""

    digest: Digest
    size: int = Field(ge=0)
    holds: Literal["base", "requirements", "application"]


class Attestation(Document):
    """A document about the image that was pushed beside it, as a manifest whose subject is the image."""

    type: str
    """Its artifact type, as ``application/vnd.cyclonedx+json``."""
    digest: Digest
    """Digest of the document itself."""
    manifest: Digest


class AppBuildResult(JobResult):
    """What one attempt reports, written last by its pod. `reason` is ``Pushed`` on success, else one of `FAILURES`.
    `timings` has seconds by step: base, fetch, resolve, install, layers, push, attest."""

    image: str | None = None
    """``host[:port]/repository@sha256:…``."""
    digest: Digest | None = None
    """Digest of the image's manifest."""
    base: str = ""
    layers: tuple[AppLayer, ...] = ()
    bytes_sent: int = Field(default=0, ge=0)
    """Bytes of blobs and manifests sent for the image itself, repeated ones included."""
    attestation_bytes_sent: int = Field(default=0, ge=0)
    requirements: tuple[str, ...] = ()
    """What the requirements resolved to: ``name==version --hash=sha256:…`` each. Empty without any."""
    sbom: Digest | None = None
    """Digest of the CycloneDX document."""
    rebased: bool = False
    """The layers are those of the previous build, on another base."""
    attestations: tuple[Attestation, ...] = ()
    source: SourceRecord | None = None


def request_key(build_id: str, attempt: int) -> str:
    """Where the request of an attempt is kept. `build_id` with or without ``sha256:``."""
    return attempt_prefix(build_id, attempt) + "request.json"


def result_key(build_id: str, attempt: int) -> str:
    """Where the answer to that request is kept."""
    return attempt_prefix(build_id, attempt) + "result.json"
