"""`make demo`: from an empty machine to a served, watched prediction, and on to its second version."""

from __future__ import annotations

from local.demo.story import Story

__all__ = ["Story"]
