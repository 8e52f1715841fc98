"""What a FeatureView's status says after a reconcile, and which events that deserves. Pure."""

from __future__ import annotations

from datetime import datetime

from slipway.api import conditions
from slipway.api.feature_view import (
    MAX_COLUMNS,
    ColumnQuality,
    FeatureViewStatus,
    Freshness,
    Quality,
    TableStatus,
    ViewRevision,
)
from slipway.controllers.feature_view.observed import Observed
from slipway.controllers.feature_view.policy import Verdict
from slipway.controllers.shared.conditions import of_reason
from slipway.features.delta_log import TableFacts
from slipway.features.records import Ingestion
from slipway.reconcile.contract import Applied, Event, StatusUpdate


def status(observed: Observed, applied: Applied[Verdict], now: datetime) -> StatusUpdate:
    """The whole status as it shall be."""
    old = observed.view.status or FeatureViewStatus()
    generation = observed.view.metadata.generation
    revision = _revision(observed, applied, old)
    verdict = _with_table(observed, applied.decision)
    message = verdict.message or (f"revision {revision.number} is in force" if revision else "")
    new = FeatureViewStatus(
        observed_generation=generation,
        conditions=of_reason(verdict.reason, message, old=old.conditions, generation=generation, now=now),
        revision=revision,
        table=_table(observed.table),
        freshness=_freshness(observed.table),
        quality=_quality(observed.table, old),
    )
    return StatusUpdate(new.to_dict(), _events(observed, applied, old, verdict.reason, message))


def _with_table(observed: Observed, verdict: Verdict) -> Verdict:
    source = observed.view.spec.source
    if verdict.reason != conditions.APPLIED or source is None or source.delta is None or observed.table is not None:
        return verdict
    return Verdict(conditions.TABLE_NOT_FOUND, f"source.delta: there is no Delta table at {source.delta} yet")


def _revision(observed: Observed, applied: Applied[Verdict], old: FeatureViewStatus) -> ViewRevision | None:
    found = applied.revision or observed.present
    if found is None:
        return old.revision if observed.settled else None
    return ViewRevision(number=found.number, digest=found.digest, applied_at=found.at.replace(microsecond=0))


def _table(table: TableFacts | None) -> TableStatus | None:
    return TableStatus(version=table.version, rows=table.rows, message=table.note or None) if table else None


def _freshness(table: TableFacts | None) -> Freshness | None:
    if table is None or (table.newest is None and table.written is None):
        return None
    return Freshness(last_event_time=table.newest, last_ingested=table.written)


def _quality(table: TableFacts | None, old: FeatureViewStatus) -> Quality | None:
    """Of the newest record that is known; it says which version of the table it is about."""
    if table is None:
        return None
    if table.record is None:
        known = old.quality
        return known if known is not None and known.table_version <= table.version else None
    return quality(table.record)


def quality(record: Ingestion) -> Quality:
    """How complete a view's rows are: of the whole table where its log tells, else of the batch."""
    shares = {}
    for name, missing in record.nulls.items():
        whole = record.table_nulls.get(name)
        rows, nulls = (record.table_rows, whole) if whole is not None and record.table_rows else (record.rows, missing)
        shares[name] = nulls / rows if rows else 0.0
    lacking = sorted(((share, name) for name, share in shares.items() if share > 0), key=lambda pair: (-pair[0], pair[1]))
    complete = 1.0 - sum(shares.values()) / len(shares) if shares else 1.0
    return Quality(
        table_version=record.table_version,
        batch_rows=record.rows,
        complete=f"{complete:.4f}",
        columns=tuple(ColumnQuality(name=name, nulls=f"{share:.4f}") for share, name in lacking[:MAX_COLUMNS]),
    )


def _events(
    observed: Observed, applied: Applied[Verdict], old: FeatureViewStatus, reason: str, message: str
) -> tuple[Event, ...]:
    """One when a revision was made, one warning when something stands in the way and that is new."""
    made = applied.revision
    if made is not None and made.changed:
        before = observed.present
        ours = old.revision is not None and before is not None and before.number == old.revision.number
        instead = f"; revision {before.number}, by {before.by}, was another definition" if before and not ours else ""
        return (Event("Normal", conditions.APPLIED, f"revision {made.number} applied ({made.digest[:19]}){instead}"),)
    ready = conditions.find(old.conditions, conditions.READY)
    known = ready is not None and ready.reason == reason and ready.message == message
    if conditions.REASONS[reason].polarity in ("waiting", "stalled") and not known:
        return (Event("Warning", reason, message),)
    return ()
