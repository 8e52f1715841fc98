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
from slipway.training.reasons import CONVERSION_FAILED as CONVERSION_FAILED
from slipway.training.reasons import DEADLINE_EXCEEDED as DEADLINE_EXCEEDED
from slipway.training.reasons import ENTRYPOINT_INVALID as ENTRYPOINT_INVALID
from slipway.training.reasons import FORMAT_REFUSED as FORMAT_REFUSED
from slipway.training.reasons import INPUT_CHANGED as INPUT_CHANGED
from slipway.training.reasons import INPUT_MISSING as INPUT_MISSING
from slipway.training.reasons import INVALID_PARAMS as INVALID_PARAMS
from slipway.training.reasons import JOB_GONE as JOB_GONE
from slipway.training.reasons import METRIC_INVALID as METRIC_INVALID
from slipway.training.reasons import NO_MODEL as NO_MODEL
from slipway.training.reasons import OUT_OF_MEMORY as OUT_OF_MEMORY
from slipway.training.reasons import POD_FAILED as POD_FAILED
from slipway.training.reasons import RETRYABLE as RETRYABLE
from slipway.training.reasons import SOURCE_CHANGED as SOURCE_CHANGED
from slipway.training.reasons import SOURCE_INVALID as SOURCE_INVALID
from slipway.training.reasons import SOURCE_MISSING as SOURCE_MISSING
from slipway.training.reasons import STORE_DENIED as STORE_DENIED
from slipway.training.reasons import STORE_UNAVAILABLE as STORE_UNAVAILABLE
from slipway.training.reasons import TRAINED as TRAINED
from slipway.training.reasons import TRAINING_FAILED as TRAINING_FAILED


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
