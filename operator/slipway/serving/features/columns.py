"""Which of a model's columns are which features. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipway.features.definitions import FeatureView


@dataclass(frozen=True)
class Part:
    """What a model takes from one view. `columns`: place among the view's features, and the model's column."""

    view: FeatureView
    columns: tuple[tuple[int, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The model's columns."""
        return tuple(column for _, column in self.columns)


def parts(views: Sequence[FeatureView], columns: Sequence[str], *, anything: bool) -> list[Part]:
    """For each view, in order, the features that the model takes. A column is called as the feature, or ``<view>__<feature>``, as in
    training sets; one that two views have under the same name is nobody's. `anything`: code around the model takes all."""
    short = [feature for view in views for feature in view.feature_names]
    twice = {feature for feature in short if short.count(feature) > 1}
    wanted = set(columns)
    found = []
    for view in views:
        chosen = []
        for at, feature in enumerate(view.feature_names):
            full = f"{view.name.replace('-', '_')}__{feature}"
            if full in wanted or (anything and feature in twice):
                chosen.append((at, full))
            elif feature not in twice and (feature in wanted or anything):
                chosen.append((at, feature))
        found.append(Part(view, tuple(chosen)))
    return found
