"""What the collector keeps in the store, under ``gc/`` and beside the versions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from slipway.registry.names import ModelName
from slipway.registry.records import SCHEMA_VERSION, Digest, Document

CONDEMNED = "gc/condemned.json"
TERMS = "gc/lock/"
VERDICTS = "gc/verdicts/"


class Condemned(Document):
    """Blobs that a later run may delete. Its object's own time, by the store's clock, is when they were condemned."""

    schema_version: int = SCHEMA_VERSION
    run: str
    at: datetime
    digests: tuple[Digest, ...] = ()


class Verdict(Document):
    """Who decides about a condemned blob: the writer that needs it keeps it, the collector deletes it; ``deleted`` once no
    further request to delete it is under way."""

    schema_version: int = SCHEMA_VERSION
    by: str
    outcome: Literal["kept", "deleting", "deleted"]


class Term(Document):
    """That a collection is running, or, once `released`, was. Its object's own time is when it was last renewed."""

    schema_version: int = SCHEMA_VERSION
    run: str
    at: datetime
    released: bool = False


class Retired(Document):
    """That retention has given a version up: it takes no new alias, and its files may be deleted. The record stays."""

    schema_version: int = SCHEMA_VERSION
    model: str
    version: int
    at: datetime
    reason: str


def term_key(number: int) -> str:
    """``gc/lock/<%012d>.json``."""
    return f"{TERMS}{number:012d}.json"


def verdict_key(digest: str) -> str:
    """``gc/verdicts/<hex>.json``."""
    return f"{VERDICTS}{digest.removeprefix('sha256:')}.json"


def retired_prefix(model: ModelName) -> str:
    """``models/<namespace>/<model>/retired/``."""
    return f"models/{model}/retired/"


def retired_key(model: ModelName, version: int) -> str:
    """``models/<namespace>/<model>/retired/<%012d>.json``."""
    return f"{retired_prefix(model)}{version:012d}.json"
