"""What the operator asks of a training pod, and the words in which a pod answers.

The request lies at ``attempts/<build id>/<n>/request.json``, the answer (`slipway.registry.records.AttemptResult`) beside
it as ``result.json``. The pod gets only the two numbers that name them, so that no request is too large for an
environment variable.
"""

from __future__ import annotations

import re

from pydantic import Field

from slipway.registry.records import Digest, Document, Scalar
from slipway.sources.pinned import PinnedGit as PinnedGit
from slipway.sources.pinned import PinnedInput as PinnedInput
from slipway.sources.pinned import PinnedS3 as PinnedS3
from slipway.sources.pinned import PinnedSource as PinnedSource
from slipway.sources.pinned import S3Object as S3Object

# Outcomes of an attempt. Those in RETRYABLE may pass when tried again; the others need a person or a new spec.
TRAINED = "Trained"
SOURCE_MISSING = "SourceMissing"
SOURCE_INVALID = "SourceInvalid"
SOURCE_CHANGED = "SourceChanged"
INPUT_MISSING = "InputMissing"
INPUT_CHANGED = "InputChanged"
INVALID_PARAMS = "InvalidParams"
ENTRYPOINT_INVALID = "EntrypointInvalid"
TRAINING_FAILED = "TrainingFailed"
NO_MODEL = "NoModel"
FORMAT_REFUSED = "FormatRefused"
CONVERSION_FAILED = "ConversionFailed"
METRIC_INVALID = "MetricInvalid"
STORE_UNAVAILABLE = "StoreUnavailable"
STORE_DENIED = "StoreDenied"
# Outcomes that the operator reads from the Job when the pod could not say.
OUT_OF_MEMORY = "OutOfMemory"
DEADLINE_EXCEEDED = "DeadlineExceeded"
JOB_GONE = "JobGone"
POD_FAILED = "PodFailed"

RETRYABLE = frozenset({TRAINING_FAILED, STORE_UNAVAILABLE, OUT_OF_MEMORY, JOB_GONE, POD_FAILED})


class BuildRequest(Document):
    """All that a training pod needs to know."""

    schema_version: int = 1
    model: str
    build_id: Digest
    attempt: int = Field(ge=1)
    source: PinnedSource
    entrypoint: str | None = None
    """``module:function`` given a `slipway.training.Run`; None: the container's own command, by the file contract."""
    params: dict[str, Scalar] = Field(default_factory=dict)
    inputs: tuple[PinnedInput, ...] = ()
    image: str = ""
    trusted_types: tuple[str, ...] = ()
    """Types that skops may load, by the operator's policy."""
    deadline_seconds: int | None = Field(default=None, ge=1)
    """The pod ends the training itself after so many seconds, and says so; the Job's own deadline is only a backstop."""


def parse_attempt(text: str) -> tuple[str, int] | None:
    """Build identity and number that ``SLIPWAY_ATTEMPT`` names, as ``<64 hex>/<n>``; None for anything else."""
    named = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})/([1-9][0-9]{0,5})", text)
    return (f"sha256:{named[1]}", int(named[2])) if named else None


def attempt_prefix(build_id: str, attempt: int) -> str:
    """The key prefix of one attempt, with a slash at its end."""
    return f"attempts/{build_id.removeprefix('sha256:')}/{attempt}/"
