"""What can go wrong with code and data. Each error carries the reason that a build reports; errors of the store itself
(`slipway.storage.port`: Unavailable, Denied) pass through as they are."""

from __future__ import annotations


class SourceError(Exception):
    """Base. The message names the source and the fix."""

    reason = "SourceInvalid"


class SourceMissing(SourceError):
    """There is nothing where the code should be."""

    reason = "SourceMissing"


class SourceInvalid(SourceError, ValueError):
    """A malformed URI, an archive that is none or that would write outside its folder, or too much of anything."""

    reason = "SourceInvalid"


class SourceChanged(SourceError):
    """The code is no longer what it was when the build was planned."""

    reason = "SourceChanged"


class SourceUnavailable(SourceError):
    """The server of the code does not answer. Try again later."""

    reason = "StoreUnavailable"


class InputMissing(SourceMissing):
    """There is nothing where the data should be."""

    reason = "InputMissing"


class InputChanged(SourceChanged):
    """The data is no longer what it was when the build was planned."""

    reason = "InputChanged"
