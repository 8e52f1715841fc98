"""Why an attempt failed, in the contract's words and in a message that a person can act on."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from slipway.registry.errors import CorruptBlob, CorruptRecord
from slipway.sources.errors import SourceError, SourceUnavailable
from slipway.storage.keys import redact
from slipway.storage.port import Denied, StorageError, Unavailable
from slipway.training import contract
from slipway.training.errors import TrainingError

T = TypeVar("T")
MESSAGE_LIMIT = 2000
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")


@dataclass(frozen=True)
class Failure:
    """`reason` is a constant of `slipway.training.reasons`."""

    reason: str
    message: str


def failure_of(error: Exception) -> Failure:
    """The failure that an error of Slipway's own phases means."""
    if isinstance(error, TrainingError | SourceError):
        return Failure(error.reason, str(error))
    if isinstance(error, Denied):
        return Failure(contract.STORE_DENIED, str(error))
    if isinstance(error, StorageError):
        return Failure(contract.STORE_UNAVAILABLE, str(error))
    if isinstance(error, CorruptRecord) and _field(error) == "params":
        return Failure(contract.INVALID_PARAMS, f"params hold something else than strings, numbers and booleans: {error}")
    if isinstance(error, CorruptBlob):
        return Failure(contract.SOURCE_INVALID, str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            contract.POD_FAILED,
            f"no space left for {error.filename or 'the work folder'}: raise the limit of ephemeral-storage, or use less data",
        )
    return Failure(contract.POD_FAILED, f"{type(error).__name__}: {error}")


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """`text` without passwords in URLs and without the store's credentials, cut to what a result holds."""
    for name in _SECRETS:
        value = environment.get(name, "")
        if len(value) >= 8:
            text = text.replace(value, "***")
    text = redact(text)
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def patiently(
    call: Callable[[], T],
    *,
    seconds: float,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """`call`, again after growing pauses while the store does not answer, for `seconds` at most: hours of training are
    not to be lost to a minute of outage. Raises its last error."""
    end, pause = clock() + seconds, 1.0
    while True:
        try:
            return call()
        except (Unavailable, SourceUnavailable) as error:
            if clock() + pause > end:
                raise
            tell(f"{error}; trying again in {pause:.0f} s")
        sleep(pause)
        pause = min(pause * 2, 30.0)


def _field(error: CorruptRecord) -> str:
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return ""
    location = cause.errors(include_url=False, include_input=False)[0]["loc"]
    return str(location[0]) if location else ""
