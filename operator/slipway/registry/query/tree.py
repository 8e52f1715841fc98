"""What an expression means: a tree of comparisons, and the fields that versions have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from slipway.registry.errors import RegistryError

Literal_ = bool | float | str
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "like", "in"]

MAPS: Mapping[str, str] = MappingProxyType(
    {
        "metrics": "a metric, a number",
        "params": "a parameter: number, text, true or false",
        "tags": "a free tag, text",
        "packages": "the version of a Python package it was trained with",
    }
)
"""Fields with names of the user's own behind a dot."""

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "model": "namespace/name",
        "namespace": "namespace of the model",
        "name": "name of the model alone",
        "version": "number of the version",
        "created": "time of registration",
        "digest": "root digest of the version's files",
        "format": "onnx, skops …",
        "reason": "why it was built",
        "builder": "who built it",
        "build": "build identity",
        "attempt": "number of the attempt that succeeded",
        "gates": "true when all gates passed, false when one failed",
        "size": "bytes of the model's files",
        "seconds": "length of the training in seconds",
        "source.uri": "where the code came from",
        "source.commit": "its git commit",
        "source.digest": "its digest",
        "inputs.name": "name of any of its inputs",
        "inputs.uri": "URI of any of its inputs",
        "inputs.digest": "digest of any of its inputs",
        "files.digest": "digest of any of its files, reports or logs",
        "python": "version of Python",
        "image": "image it was trained in",
    }
)
TIMES = frozenset({"created"})


class InvalidQuery(RegistryError, ValueError):
    """An expression that cannot be read. The message names the position and what was expected there."""


@dataclass(frozen=True)
class Compare:
    """`field` compared with `values` (one; any number for ``in``). Never true where the field has no value."""

    field: str
    operator: Operator
    values: tuple[Literal_, ...]


@dataclass(frozen=True)
class Present:
    """Whether `field` has a value."""

    field: str


@dataclass(frozen=True)
class Not:
    """True where `inner` is not."""

    inner: Node


@dataclass(frozen=True)
class And:
    """True where all of `parts` are; of none, everywhere."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """True where one of `parts` is."""

    parts: tuple[Node, ...]


Node = Compare | Present | Not | And | Or
EVERYTHING = And(())


@dataclass(frozen=True)
class Order:
    """How hits are sorted: by `field`, and which end first."""

    field: str
    descending: bool


def fields_of(node: Node) -> frozenset[str]:
    """All fields that a tree looks at."""
    match node:
        case Compare(field=field) | Present(field=field):
            return frozenset({field})
        case Not(inner=inner):
            return fields_of(inner)
        case And(parts=parts) | Or(parts=parts):
            return frozenset(field for part in parts for field in fields_of(part))
