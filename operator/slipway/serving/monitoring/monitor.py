"""The observer of one model: counts a sample of its rows, within a fixed part of the time.

Batches are only remembered when they are seen; they are counted together, a few hundred rows at a time, because counting
costs per call more than per row. A busy server counts `ROWS_PER_SECOND`, which says as much of a distribution as all of
them, and what counting takes is measured and kept below `SHARE` of the time. Rows beyond that are passed over, and told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from time import monotonic, perf_counter
from typing import Any, Final

import numpy as np

from slipway.serving import log
from slipway.serving.monitoring.drift import Drift, document, drift
from slipway.serving.monitoring.observer import Observation
from slipway.serving.monitoring.sketch import Layout, Sketch
from slipway.serving.monitoring.windows import WINDOWS, Windows
from slipway.serving.signature import Signature
from slipway.serving.tensors import Array
from slipway.training.reference import Reference, category

ROWS_PER_SECOND: Final = 1_000
SAVED_ROWS: Final = 10_000
"""Rows that may be saved up in a quiet while."""
SHARE: Final = 0.01
"""Part of the time that counting may take."""
SAVED_SECONDS: Final = 0.05
"""Time that may be saved up: so much counting can follow a quiet while."""
CHUNK_COST: Final = 300_000
"""Comparisons in one go: about a third of a millisecond."""
REFILL_SECONDS: Final = 0.25
"""How often the allowance of rows grows; what is remembered is counted by then, or when it is enough."""
MIN_CHUNK, MAX_CHUNK = 16, 512
MAX_CLASSES: Final = 100
LABEL: Final = "label"


class Monitor:
    """What is known of the traffic of one model version. Belongs to the event loop's thread."""

    def __init__(
        self,
        signature: Signature,
        reference: Reference | None,
        *,
        clock: Callable[[], float] = monotonic,
        stopwatch: Callable[[], float] = perf_counter,
    ) -> None:
        """`reference`: None for a model that has none: then only rows and classes are counted."""
        self.reference = reference
        self._clock, self._stopwatch = clock, stopwatch
        self.inputs = Layout(reference.inputs if reference else (), signature.inputs)
        self.outputs = Layout(reference.outputs if reference else (), signature.outputs)
        self._windows = (Windows(self.inputs), Windows(self.outputs))
        cost = self.inputs.cost + self.outputs.cost
        self._chunk = max(MIN_CHUNK, min(MAX_CHUNK, CHUNK_COST // cost))
        self._label = next((at for at, tensor in enumerate(signature.outputs) if tensor.name == LABEL), None)
        self._pending: list[tuple[Sequence[Array], Sequence[Array]]] = []
        self._pending_rows = 0
        self._since = self._clock()
        self._rows_left = float(SAVED_ROWS)
        self._saved = SAVED_SECONDS
        self._paid = self._stopwatch()
        self._broken = False
        self.observed = 0
        self.unobserved = 0
        self.classes: Counter[str] = Counter()

    def observe(self, batch: Sequence[Observation]) -> None:
        """Remembers the rows of a batch, or passes them over."""
        if self._broken:
            return
        now = self._clock()
        if now - self._since > REFILL_SECONDS:
            self.flush()  # what is remembered belongs to an earlier time
            self._rows_left = min(SAVED_ROWS, self._rows_left + ROWS_PER_SECOND * (now - self._since))
            self._since = now
        if self._rows_left <= 0:
            self.unobserved += sum([len(inputs[0]) for _, inputs, _ in batch if inputs])
            return
        for _, inputs, outputs in batch:
            rows = len((inputs or outputs)[0]) if inputs or outputs else 0
            if self._saved <= 0 and not self._earned():
                self.unobserved += rows
                continue
            if rows > self._chunk:
                # a sample that has a chance to be of the whole, copied so that the request's memory is let go
                kept = np.linspace(0, rows - 1, self._chunk).astype(np.intp)
                self.unobserved += rows - len(kept)
                rows = len(kept)
                inputs, outputs = [a[kept] for a in inputs], [a[kept] for a in outputs]
            self._pending.append((inputs, outputs))
            self._pending_rows += rows
            self._rows_left -= rows
            if self._pending_rows >= self._chunk:
                self.flush()

    def observe_rows(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """The same for single rows of many requests, stacked."""
        rows = len(inputs[0])
        if rows <= self._chunk:
            if self._rows_left > 0 or self._clock() - self._since > REFILL_SECONDS:
                self.observe([("", inputs, outputs)])
            elif not self._broken:
                self.unobserved += rows
            return
        for start in range(0, rows, self._chunk):
            stop = start + self._chunk
            self.observe([("", [a[start:stop] for a in inputs], [a[start:stop] for a in outputs])])

    def add_classes(self, labels: Array) -> None:
        """Counts predicted classes that come with nothing else."""
        for value, times in Counter(labels.ravel().tolist()).items():
            name = category(value)
            self.classes[name if name in self.classes or len(self.classes) < MAX_CLASSES else "(others)"] += times

    def flush(self) -> None:
        """Counts what is remembered."""
        if not self._pending:
            return
        pending, self._pending, self._pending_rows = self._pending, [], 0
        started = self._stopwatch()
        try:
            self._count(pending)
        except Exception as error:  # monitoring must never harm the answers
            self._broken = True
            log.line("monitoring of inputs and predictions has stopped", level="error", error=error)
        self._saved -= self._stopwatch() - started

    def drift(self, window: str) -> tuple[int, list[Drift], list[Drift]]:
        """Rows, inputs and outputs in one of `WINDOWS`."""
        self.flush()
        now = self._clock()
        taken, given = (windows.window(window, now) for windows in self._windows)
        return taken.rows, drift(self.inputs, taken), drift(self.outputs, given)

    def totals(self) -> tuple[Sketch, Sketch]:
        """Everything since the start: inputs and outputs."""
        self.flush()
        return self._windows[0].total, self._windows[1].total

    def document(self) -> dict[str, Any]:
        """All windows as JSON."""
        reference = self.reference
        windows = {name: document(*self.drift(name)) for name in WINDOWS}
        return {
            "reference": {"rows": reference.rows, "unwatched": reference.unwatched} if reference else None,
            "observedRows": self.observed,
            "unobservedRows": self.unobserved,
            "predictions": dict(sorted(self.classes.items())),
            "windows": windows,
        }

    def _earned(self) -> bool:
        """Adds what the time that passed allows; whether there is something to spend."""
        now = self._stopwatch()
        self._saved = min(SAVED_SECONDS, self._saved + SHARE * (now - self._paid))
        self._paid = now
        return self._saved > 0

    def _count(self, pending: Sequence[tuple[Sequence[Array], Sequence[Array]]]) -> None:
        rows = sum(len((inputs or outputs)[0]) for inputs, outputs in pending)
        for at, (layout, windows) in enumerate(zip((self.inputs, self.outputs), self._windows, strict=True)):
            # application code may give one side only
            stacked = [_stacked(parts) for parts in zip(*(pair[at] for pair in pending if pair[at]), strict=True)]
            if not stacked:
                continue
            windows.add(Sketch.of(layout, stacked), self._since)
            if at and self._label is not None:
                self.add_classes(stacked[self._label])
        self.observed += rows
        self._earned()


def _stacked(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
