"""What the maker of a version knows of its own, whatever the trained code reported. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.provenance.names import BUILD_TYPE, BUILDER, LOCAL_BUILDER, REGISTER_TYPE
from slipway.registry.records import VersionDraft
from slipway.sources.pinned import PinnedInput, PinnedSource


@dataclass(frozen=True)
class BuildFacts:
    """`checked`: source, inputs, parameters and image are those that the build identity stands for; that was computed anew
    from what was asked, since the request lies where the build's own pod can write."""

    builder: str = BUILDER
    build_type: str = BUILD_TYPE
    entrypoint: str | None = None
    image: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    source: PinnedSource | None = None
    inputs: tuple[PinnedInput, ...] = ()
    checked: bool = False


def local_facts(draft: VersionDraft, build_type: str = REGISTER_TYPE) -> BuildFacts:
    """For a version that a person hands in: nothing is known of how it was made but what they say."""
    return BuildFacts(builder=LOCAL_BUILDER, build_type=build_type, params=draft.params)
