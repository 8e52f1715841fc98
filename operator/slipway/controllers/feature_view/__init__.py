"""FeatureView: a definition for the feature store, and what rows there are."""

from __future__ import annotations

from slipway.controllers.feature_view.controller import FeatureViewController

CONTROLLER_FACTORY = FeatureViewController

__all__ = ["CONTROLLER_FACTORY", "FeatureViewController"]
