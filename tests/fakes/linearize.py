"""Is a recorded history of concurrent calls one that a single register could have given? Wing and Gong's search, with what was
tried remembered."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Op:
    """One call that ended: when it began and ended by one clock, what it was asked, and what it gave."""

    began: float
    ended: float
    asked: tuple[Any, ...]
    gave: Any


Step = Callable[[Hashable, Op], Hashable | None]
"""The state after `op`, when `op` could have given what it gave in that state; else None."""


def linearizable(history: Sequence[Op], state: Hashable, step: Step) -> bool:
    """Whether the calls can be put in an order in which each gives what it gave, and which keeps apart those that did not
    overlap."""
    tried: set[tuple[frozenset[int], Hashable]] = set()

    def search(left: frozenset[int], state: Hashable) -> bool:
        if not left:
            return True
        if (left, state) in tried:
            return False
        tried.add((left, state))
        first_end = min(history[number].ended for number in left)
        for number in left:
            if history[number].began <= first_end:  # nothing that is left ended before it began
                after = step(state, history[number])
                if after is not None and search(left - {number}, after):
                    return True
        return False

    return search(frozenset(range(len(history))), state)
