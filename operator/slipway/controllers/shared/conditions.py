"""From one reason to the list of conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from slipway.api.conditions import READY, REASONS, RECONCILING, STALLED, Condition, merge


def of_reason(
    reason: str,
    message: str,
    *,
    old: Sequence[Condition],
    generation: int,
    now: datetime,
    extra: Iterable[Condition] = (),
) -> tuple[Condition, ...]:
    """The conditions that `reason` stands for by its polarity (see `slipway.api.conditions`), merged over `old`."""
    polarity = REASONS[reason].polarity if reason in REASONS else "stalled"
    new = [Condition(type=READY, status="True" if polarity == "done" else "False", reason=reason, message=message)]
    if polarity in ("working", "waiting"):
        new.append(Condition(type=RECONCILING, status="True", reason=reason, message=message))
    elif polarity == "stalled":
        new.append(Condition(type=STALLED, status="True", reason=reason, message=message))
    stamped = [c.model_copy(update={"observed_generation": generation}) for c in (*new, *extra)]
    return merge(old, stamped, now)
