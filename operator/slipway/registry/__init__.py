"""Model registry and metadata store over `slipway.storage`: no database, no server.

`Registry` is the whole of it for most callers. Names are loaded at first use, so that importing a part such as
`slipway.registry.records` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.registry.aliases import ANY, Expected
    from slipway.registry.blobs import Blobs
    from slipway.registry.difference import Change, Difference
    from slipway.registry.errors import (
        CorruptBlob,
        CorruptRecord,
        FileChanged,
        InvalidDigest,
        InvalidName,
        LostRace,
        MissingBlob,
        NewerSchema,
        NotInRegistry,
        RegistryError,
        RetiredVersion,
        UnknownAlias,
        UnknownModel,
        UnknownVersion,
        UnsafePath,
    )
    from slipway.registry.garbage.collector import Collection, Item
    from slipway.registry.garbage.marks import Policy
    from slipway.registry.index import IndexReport
    from slipway.registry.lineage import Lineage, LineageEdge, LineageNode
    from slipway.registry.names import ModelName, ModelRef
    from slipway.registry.query import InvalidQuery
    from slipway.registry.registry import Registry, Verification
    from slipway.registry.search import Hit, SearchResult
    from slipway.registry.versions import VersionPage

_HOMES = {
    "aliases": ("ANY", "Expected"),
    "blobs": ("Blobs",),
    "errors": (
        "CorruptBlob",
        "CorruptRecord",
        "FileChanged",
        "InvalidDigest",
        "InvalidName",
        "LostRace",
        "MissingBlob",
        "NewerSchema",
        "NotInRegistry",
        "RegistryError",
        "RetiredVersion",
        "UnknownAlias",
        "UnknownModel",
        "UnknownVersion",
        "UnsafePath",
    ),
    "difference": ("Change", "Difference"),
    "garbage.collector": ("Collection", "Item"),
    "garbage.marks": ("Policy",),
    "index": ("IndexReport",),
    "lineage": ("Lineage", "LineageEdge", "LineageNode"),
    "query": ("InvalidQuery",),
    "search": ("Hit", "SearchResult"),
    "names": ("ModelName", "ModelRef"),
    "registry": ("Registry", "Verification"),
    "versions": ("VersionPage",),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "ANY",
    "Blobs",
    "Change",
    "Collection",
    "CorruptBlob",
    "CorruptRecord",
    "Difference",
    "Expected",
    "FileChanged",
    "Hit",
    "IndexReport",
    "InvalidDigest",
    "InvalidName",
    "InvalidQuery",
    "Item",
    "Lineage",
    "LineageEdge",
    "LineageNode",
    "LostRace",
    "MissingBlob",
    "ModelName",
    "ModelRef",
    "NewerSchema",
    "NotInRegistry",
    "Policy",
    "Registry",
    "RegistryError",
    "RetiredVersion",
    "SearchResult",
    "UnknownAlias",
    "UnknownModel",
    "UnknownVersion",
    "UnsafePath",
    "Verification",
    "VersionPage",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"slipway.registry.{_MODULES[name]}"), name)
