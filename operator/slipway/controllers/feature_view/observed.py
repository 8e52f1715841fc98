"""What a FeatureView's reconcile knows, as one value: written by observe, read by the steps after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.api.feature_view import FeatureView
from slipway.features.delta_log import TableFacts
from slipway.features.records import Revision


@dataclass(frozen=True)
class Observed:
    """The resource and the feature store around it, at one time."""

    view: FeatureView
    settled: bool = False
    """The revision that status tells of is the present one, and was made from this very spec; it was not read again."""
    present: Revision | None = None
    """The definition that is in force, whoever applied it. None when there is none, or when `settled`."""
    sources: Mapping[str, Revision | None] = field(default_factory=dict)
    """Definitions of the views that `source.sql` reads, by name; None for one that is not there. Not read when `settled`."""
    table: TableFacts | None = None
    """None when there is no table."""
