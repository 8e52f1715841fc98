"""What can go wrong with the registry, beyond the errors of the store itself (`slipway.storage.port`)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RegistryError(Exception):
    """Base of all errors of the registry."""


class InvalidName(RegistryError, ValueError):
    """A model name, alias or reference that is not well formed. The message names the rule and the fix."""


class InvalidDigest(RegistryError, ValueError):
    """Not ``sha256:<64 hex>``."""


class UnsafePath(RegistryError, ValueError):
    """A path that would leave its tree."""


class NotInRegistry(RegistryError):
    """Base of what is not there. `suggestions` are names that are there and look alike, best first."""

    def __init__(self, message: str, suggestions: Iterable[str] = ()) -> None:
        self.suggestions = tuple(suggestions)
        hint = f" Did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        super().__init__(message + hint)


class UnknownModel(NotInRegistry):
    """No version of that model."""


class UnknownVersion(NotInRegistry):
    """The model has no version of that number."""


class UnknownAlias(NotInRegistry):
    """The alias was never set, or was taken away."""


class RetiredVersion(NotInRegistry):
    """Retention has given the version up: its record is there, its files may be gone."""


class MissingBlob(NotInRegistry):
    """A file's bytes are not under ``blobs/``. `digests` names all that are missing."""

    def __init__(self, message: str, digests: Iterable[str] = ()) -> None:
        self.digests = tuple(digests)
        super().__init__(message)


class CorruptBlob(RegistryError):
    """The bytes in the store are not those that the digest names."""


class CorruptRecord(RegistryError):
    """A stored document that cannot be read, or that contradicts its own key or digest."""


class NewerSchema(RegistryError):
    """A document written by a newer Slipway than this one."""


class LostRace(RegistryError):
    """Somebody else changed it first, or it is not as the caller expected."""


class FileChanged(RegistryError):
    """A local file changed while it was being stored."""


def closest(name: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """The names in `known` that look like `name`, best first."""
    return tuple(difflib.get_close_matches(name, sorted(known), n=limit, cutoff=0.6))
