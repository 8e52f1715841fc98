"""How far traffic is from training: pure functions from sketches to figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from slipway.serving.monitoring.sketch import OTHER, Layout, Sketch, counts_of, noise, psi

MIN_ROWS: Final = 100
"""Fewer rows say nothing of a distribution: there is no index then, which is not the same as an index of 0."""


@dataclass(frozen=True)
class Drift:
    """Of one feature in one window. `psi` is None below `MIN_ROWS` rows; `noise` is what it would be by chance alone."""

    name: str
    psi: float | None
    noise: float
    missing: float
    """Share of values that were missing."""
    out_of_range: float | None
    """Share outside of what training saw: beyond its numbers, or in none of its categories. None for no rows."""
    counts: tuple[int, ...]


def drift(layout: Layout, sketch: Sketch) -> list[Drift]:
    """For each feature of `layout`, in its order: numbers, then categories."""
    counts = counts_of(layout, sketch)
    rows = max(1, sketch.rows)
    outside = [*sketch.outside.tolist(), *(named[OTHER] for named in sketch.texts)]
    found = []
    for feature, beyond in zip([*layout.numbers, *layout.categories], outside, strict=True):
        have = counts[feature.name]
        known = sketch.rows >= MIN_ROWS and sum(feature.counts) > 0
        found.append(
            Drift(
                name=feature.name,
                psi=psi(feature.counts, have) if known else None,
                noise=noise(feature.counts, have),
                missing=have[-1] / rows,
                out_of_range=beyond / rows if sketch.rows else None,
                counts=tuple(have),
            )
        )
    return found


def largest(found: Sequence[Drift]) -> float | None:
    """The largest index; None when there is none."""
    return max((one.psi for one in found if one.psi is not None), default=None)


def document(rows: int, inputs: Sequence[Drift], outputs: Sequence[Drift]) -> dict[str, Any]:
    """A window as JSON: features with the largest index first."""
    return {
        "rows": rows,
        "psiMax": _rounded(largest(inputs)),
        "inputs": [_one(one) for one in _ordered(inputs)],
        "outputs": [_one(one) for one in _ordered(outputs)],
    }


def _ordered(found: Sequence[Drift]) -> list[Drift]:
    return sorted(found, key=lambda one: -(one.psi or 0.0))


def _one(one: Drift) -> dict[str, Any]:
    return {
        "name": one.name,
        "psi": _rounded(one.psi),
        "noise": _rounded(one.noise),
        "missing": _rounded(one.missing),
        "outOfRange": _rounded(one.out_of_range),
        "counts": one.counts,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)
