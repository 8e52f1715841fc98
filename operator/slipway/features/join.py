"""The point-in-time join as SQL. Pure.

For each entity row, with time `t`, a view gives the values of one of its rows, or nulls. That row is

1. one of the same entity that was effective: event time <= t,
2. and known: created time <= as of (a time, or with `ENTITY_TIME` each row's own t),
3. of these the one with the latest event time; of equal ones that with the latest created time, of equal ones the one
   that was ingested last, and of one batch the later row;
4. and if that row is older than the view's TTL at t, the values are nulls: an older row would be older still.

The rule gives exactly one row, whatever the order of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from slipway.features.batches import INGESTED, ROW
from slipway.features.definitions import FeatureView

ENTITY_TIME = "EntityTime"
"""As of each row's own time: what was known at that very moment, and nothing that came later."""
AsOf = datetime | str

ENTITIES = "entities"
"""Name of the relation of entity rows: `ROW_ID`, the keys, and `AT`."""
ROW_ID = "_slipway_id"
AT = "_slipway_at"


@dataclass(frozen=True)
class Chosen:
    """Features of one view that are asked for. `names` pairs each feature with the column that it becomes;
    `keys` pairs each entity key with the entity rows' column."""

    view: FeatureView
    names: tuple[tuple[str, str], ...]
    keys: tuple[tuple[str, str], ...]


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(time: datetime) -> str:
    """A time as SQL."""
    return f"TIMESTAMPTZ '{time.isoformat()}'"


def join_sql(chosen: Chosen, relation: str, as_of: AsOf, *, bounds: tuple[datetime, datetime]) -> str:
    """The chosen features for each entity row, ordered by `ROW_ID`. `relation` has the view's rows; `bounds` are the
    earliest and the latest time of the entity rows."""
    view = chosen.view
    history = _history(chosen, relation, as_of, bounds)
    own = f"CASE WHEN {_young(view)} THEN f.{{0}} END"
    selected = ", ".join(f"{own.format(quoted(feature))} AS {quoted(column)}" for feature, column in chosen.names)
    on = " AND ".join(f"e.{quoted(column)} = f.{quoted(key)}" for key, column in chosen.keys)
    return (
        f"WITH f AS ({history}) "
        f"SELECT e.{ROW_ID}, {selected} "
        f"FROM (SELECT *, {_order_of_entity()} AS _slipway_order FROM {ENTITIES}) e "
        f"ASOF LEFT JOIN f ON {on} AND e._slipway_order >= f._slipway_order "
        f"ORDER BY e.{ROW_ID}"
    )


def _history(chosen: Chosen, relation: str, as_of: AsOf, bounds: tuple[datetime, datetime]) -> str:
    """The view's rows that can matter, each with the place in the order that the rule above gives it."""
    view = chosen.view
    event, created = quoted(view.event_time), created_column(view)
    keys = [quoted(key) for key, _ in chosen.keys]
    features = [quoted(feature) for feature, _ in chosen.names]
    earliest, latest = bounds
    where = [f"{event} <= {literal(latest)}"]
    if view.max_age is not None:
        where.append(f"{event} >= {literal(earliest - view.max_age)}")
    rank = f"row({event}, {created}, {INGESTED}, {ROW})"
    columns = ", ".join([*keys, f"{event} AS _slipway_event", *features])
    if isinstance(as_of, datetime):
        where.append(f"{created} <= {literal(as_of)}")
        return f"SELECT {columns}, {rank} AS _slipway_order FROM {relation} WHERE {' AND '.join(where)}"
    # Known and effective from the later of both times on; from then on the best so far counts. (An order by event time
    # alone would hide, behind a row that is not yet known, an older one that is.)
    where.append(f"{created} <= {literal(latest)}")
    since = f"greatest({event}, {created})"
    # RANGE: rows that became visible together have the same best one, so it does not matter which of them is met
    over = f"PARTITION BY {', '.join(keys)} ORDER BY {since} RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
    best = f"max_by(row({', '.join([event, *features])}), {rank}) OVER ({over})"
    inner = f"SELECT {', '.join(keys)}, {since} AS since, {best} AS best FROM {relation} WHERE {' AND '.join(where)}"
    unpacked = ", ".join(f"best[{number}] AS {name}" for number, name in enumerate(["_slipway_event", *features], start=1))
    order = "row(since, since, since, 0::BIGINT) AS _slipway_order"
    return f"SELECT {', '.join(keys)}, {unpacked}, {order} FROM ({inner})"


def created_column(view: FeatureView) -> str:
    """The column, quoted, that says when a row became known."""
    return quoted(view.created_time) if view.created_time is not None else INGESTED


def _young(view: FeatureView) -> str:
    if view.max_age is None:
        return "f._slipway_event IS NOT NULL"
    micros = int(view.max_age.total_seconds() * 1_000_000)
    return f"epoch_us(e.{AT}) - epoch_us(f._slipway_event) <= {micros}"


def _order_of_entity() -> str:
    """Above every row of the same event time."""
    end = "TIMESTAMPTZ '9999-12-31T00:00:00Z'"
    return f"row({AT}, {end}, {end}, 9223372036854775807)"


def latest_sql(view: FeatureView, relation: str, at: datetime, as_of: datetime, columns: Sequence[str] | None = None) -> str:
    """The row of each entity that holds at `at`, by the same rule; rows beyond their TTL are left out."""
    event, created = quoted(view.event_time), created_column(view)
    keys = ", ".join(quoted(key) for key in view.keys)
    wanted = ", ".join(quoted(name) for name in (columns or (*view.keys, *view.times, *view.feature_names)))
    where = [f"{event} <= {literal(at)}", f"{created} <= {literal(as_of)}"]
    if view.max_age is not None:
        where.append(f"{event} >= {literal(at - view.max_age)}")
    order = f"{event} DESC, {created} DESC, {INGESTED} DESC, {ROW} DESC"
    return (
        f"SELECT {wanted} FROM {relation} WHERE {' AND '.join(where)} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1"
    )
