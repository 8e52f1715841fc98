"""What can go wrong with images. Messages name the registry, repository, file or field, and the fix, but no secret."""

from __future__ import annotations


class ImageError(Exception):
    """Base of all errors of this package. `reason` is a constant of `slipway.images.contract`."""

    reason = "BuildFailed"

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class InvalidReference(ImageError, ValueError):
    """An image reference that is not well formed, or that names no registry."""

    reason = "OutputInvalid"


class UnsafePath(ImageError, ValueError):
    """A path or link that leads out of its tree, or a file of a kind that no layer holds."""

    reason = "SourceInvalid"


class FileChanged(ImageError):
    """A file changed while it was being packed."""


class Incompatible(ImageError):
    """A base image that cannot carry the layers: another platform, or another Python."""

    reason = "BaseIncompatible"


class ToolMissing(ImageError):
    """A program or file of this machine is needed and not there."""


class RegistryError(ImageError):
    """Base of what a registry answers. `status` is the HTTP status, if there was an answer."""

    reason = "RegistryUnavailable"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class RegistryUnavailable(RegistryError):
    """No answer, or 429 or 5xx, after all retries. Try again later."""


class RegistryFull(RegistryUnavailable):
    """The registry has no space left. Somebody has to make room; trying again may then do."""

    reason = "RegistryFull"


class RegistryDenied(RegistryError):
    """Credentials are missing, wrong, or lack a permission. A person is needed."""

    reason = "RegistryDenied"


class NotInRegistry(RegistryError):
    """No such blob, manifest or repository."""

    reason = "BaseMissing"


class RegistryRefused(RegistryError):
    """The registry refused what it was given: a fault of ours, or a policy of the registry."""

    reason = "BuildFailed"


class DigestMismatch(RegistryError):
    """What arrived is not what its digest names."""
