"""When a build starts by itself: at a time, or because its data or code changed. Pure.

Stated behaviour, as far as CronJob leaves it open:

- Times are wall-clock times of the schedule's zone. One that the clocks skip in spring does not happen. One that comes
  twice in autumn happens once, the first time; but an hour field of ``*`` or ``*/n`` means every real hour, both included.
- However many times were missed, while the operator was down or a build ran, the newest one alone is made up for, and only
  within startingDeadlineSeconds. Times during suspension are not made up for.
- A clock that jumps back makes no time happen twice.
- A change counts once it has stood still for debounceSeconds; what never stands still counts after ten times that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

from slipway.api.model_build import ModelBuild, Schedule
from slipway.api.model_build_status import PendingChange, TriggersStatus

MAX_DEBOUNCES = 10
_FAR = timedelta(days=366 * 30)
"""How far ahead a time is looked for: 29 February on a given day of the week comes within that."""


@dataclass(frozen=True)
class Times:
    """Of a schedule: the newest time that is due and not yet acted on, and the one after now. None: there is none."""

    due: datetime | None
    next: datetime | None


def schedule_problem(schedule: Schedule) -> str | None:
    """What is wrong with a schedule, naming the field and the fix."""
    try:
        zone = ZoneInfo(schedule.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"schedule.timeZone: there is no time zone {schedule.time_zone!r}; write one as Europe/Berlin, or Etc/UTC"
    try:
        found = _after(schedule, zone, datetime(2026, 1, 1, tzinfo=UTC))
    except CroniterError as error:
        return f"schedule.cron: {schedule.cron!r} is not a schedule: {error}; write five fields, as '0 3 * * *' for 3 at night"
    return None if found else f"schedule.cron: {schedule.cron!r} never comes; check day and month"


def times(schedule: Schedule, *, since: datetime, now: datetime) -> Times:
    """`since` is the time that was acted on last, or when the schedule began to count."""
    zone = ZoneInfo(schedule.time_zone)
    after = _after(schedule, zone, max(since, now))
    if now <= since:
        return Times(None, after)
    newest = _newest(schedule, zone, since, now)
    if newest is not None and schedule.starting_deadline_seconds is not None:
        late = (now - newest).total_seconds()
        newest = newest if late <= schedule.starting_deadline_seconds else None
    return Times(newest, after)


def _newest(schedule: Schedule, zone: ZoneInfo, since: datetime, now: datetime) -> datetime | None:
    """The last time in (since, now]. Looked for backwards: a year of missed minutes costs no more than one."""
    step = timedelta(hours=1)
    while True:
        start = max(since, now - step)
        found, newest = _after(schedule, zone, start), None
        while found is not None and found <= now:
            newest, found = found, _after(schedule, zone, found)
        if newest is not None or start == since:
            return newest
        step *= 24


def _after(schedule: Schedule, zone: ZoneInfo, start: datetime) -> datetime | None:
    """The first time after `start`, in UTC."""
    hour = schedule.cron.split()[1] if len(schedule.cron.split()) > 1 else ("*" if schedule.cron == "@hourly" else "0")
    every_hour = hour.startswith("*")
    # From an hour before, in wall-clock time: in autumn that is a time that the clock shows twice.
    wall = start.astimezone(zone).replace(tzinfo=None) - timedelta(hours=2)
    walls = croniter(schedule.cron, wall, ret_type=datetime)
    best: datetime | None = None
    while True:
        try:
            candidate = walls.get_next(datetime)
        except CroniterBadDateError:
            return best
        if candidate - wall > _FAR:
            return best
        for moment in _moments(candidate, zone, both=every_hour):
            if moment > start and (best is None or moment < best):
                best = moment
        if best is not None and candidate - timedelta(hours=2) > best.astimezone(zone).replace(tzinfo=None):
            return best
        if best is not None and not every_hour:
            return best


def _moments(wall: datetime, zone: ZoneInfo, *, both: bool) -> list[datetime]:
    """The real times at which the clock shows `wall`: none, one or two."""
    found = []
    for fold in (0, 1):
        moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall and moment not in found:
            found.append(moment)
    return found if both else found[:1]


def schedule_times(build: ModelBuild, now: datetime) -> Times:
    """How the schedule stands. A schedule that is new, or was changed, counts from now on; a suspended one is not due."""
    schedule = build.spec.schedule
    if schedule is None or schedule_problem(schedule):
        return Times(None, None)
    known = build.status.triggers if build.status else None
    if known is None or known.schedule != _identity(schedule) or known.next_schedule_time is None:
        return times(schedule, since=now, now=now)
    if now < known.next_schedule_time:
        return Times(None, known.next_schedule_time)
    found = times(schedule, since=known.next_schedule_time - timedelta(seconds=1), now=now)
    return Times(None, found.next) if build.spec.suspend else found


def watches(build: ModelBuild) -> bool:
    """Whether source and inputs are looked at again after the build has ended."""
    return build.spec.triggers is not None and build.spec.triggers.on_input_change and not build.spec.suspend


def standing(build: ModelBuild, found: Times, *, acted: bool, pending: PendingChange | None = None) -> TriggersStatus | None:
    """What status says of schedule and triggers. While a time that is due waits (`acted` is false), it stays the next."""
    schedule = build.spec.schedule
    if schedule is None and build.spec.triggers is None:
        return None
    known = build.status.triggers if build.status else None
    if schedule is None:  # never an empty object: where members were removed the API server makes null of one, and refuses it
        return TriggersStatus(pending=pending) if pending is not None else None
    same = known is not None and known.schedule == _identity(schedule)
    last = known.last_schedule_time if known is not None and same else None
    following = found.next
    if found.due is not None:
        last, following = (found.due, found.next) if acted else (last, known.next_schedule_time if known else found.due)
    return TriggersStatus(last_schedule_time=last, next_schedule_time=following, schedule=_identity(schedule), pending=pending)


def _identity(schedule: Schedule) -> str:
    return f"{schedule.cron} {schedule.time_zone}"


def observed_change(
    pending: PendingChange | None, digest: str, now: datetime, debounce_seconds: int
) -> tuple[PendingChange, datetime]:
    """What to remember of a change that has been seen, and when it counts (then or earlier: now). `digest` is of what the
    build would be made from."""
    if pending is None:
        pending = PendingChange(digest=digest, since=now, first=now)
    elif pending.digest != digest:
        pending = PendingChange(digest=digest, since=now, first=pending.first)
    quiet = pending.since + timedelta(seconds=debounce_seconds)
    patience = pending.first + timedelta(seconds=debounce_seconds * MAX_DEBOUNCES)
    return pending, min(quiet, patience)
