"""Runs of builds as others are told of them: data, without any word of how they are told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RunState(StrEnum):
    """As OpenLineage has them."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Dataset:
    """Data or a model: `namespace` is the store it lies in, ``s3://bucket``; `name` its place there. `rows` and `size` (bytes) where
    they are known."""

    namespace: str
    name: str
    version: str | None = None
    rows: int | None = None
    size: int | None = None


@dataclass(frozen=True)
class RunEvent:
    """What happened to one attempt of a build."""

    state: RunState
    at: datetime
    build_id: str
    attempt: int
    namespace: str
    """Of the resource."""
    job: str
    """Name of the resource."""
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    source: str = ""
    commit: str = ""
    reason: str = ""
    message: str = ""
