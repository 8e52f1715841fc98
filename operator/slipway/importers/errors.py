"""What can go wrong with an import."""

from __future__ import annotations


class ImportFailed(Exception):
    """The other side does not answer as it should, or holds what cannot be taken. The message says which, and what to do."""


class Refused(ImportFailed):
    """Something that policy keeps out: a pickle."""
