"""Why an app build failed, in the contract's words and in a message that a person can act on."""

from __future__ import annotations

import errno

from slipway.images import contract
from slipway.images.errors import ImageError
from slipway.registry.errors import CorruptBlob, CorruptRecord, MissingBlob, NewerSchema
from slipway.sources.errors import SourceError
from slipway.storage.port import Denied, InvalidKey, StorageError
from slipway.training.failures import Failure


def failure_of(error: Exception) -> Failure:
    """The failure that an error in the pod means; its reason is one of `slipway.images.contract.FAILURES`."""
    if isinstance(error, ImageError | SourceError):
        reason = error.reason if error.reason in contract.FAILURES else contract.SOURCE_MISSING
        return Failure(reason, str(error))
    if isinstance(error, Denied):
        return Failure(contract.STORE_DENIED, str(error))
    if isinstance(error, InvalidKey):
        return Failure(contract.SOURCE_INVALID, str(error))
    if isinstance(error, StorageError):
        return Failure(contract.STORE_UNAVAILABLE, str(error))
    if isinstance(error, CorruptBlob | MissingBlob):
        return Failure(contract.SOURCE_INVALID, str(error))
    if isinstance(error, CorruptRecord | NewerSchema):
        return Failure(contract.REQUEST_INVALID, f"what the operator asked cannot be read: {error}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = error.filename or "the work folder"
        return Failure(contract.BUILD_FAILED, f"no space left for {where} on the node: make room, or ask for fewer packages")
    return Failure(contract.BUILD_FAILED, f"{type(error).__name__}: {error}")
