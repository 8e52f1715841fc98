"""What served where and what was given up: one small immutable object for each, so that a ModelDeployment that is made anew, in this
cluster or another, finds its past. A part of `slipway.registry.registry.Registry`.

Objects are named by their content, so that writing one again changes nothing, whoever does it:
``rollouts/<namespace>/<name>/<time>-<served|held>-<revision>.json``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Protocol

from slipway.registry import documents
from slipway.registry.errors import CorruptRecord, NewerSchema
from slipway.registry.names import check_path
from slipway.registry.records import RolloutRecord
from slipway.registry.sequence import create
from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectStore

PREFIX = "rollouts/"
KEPT = 25
"""So many of the newest records of a ModelDeployment stay however old they are."""
_TIME = "%Y%m%dT%H%M%SZ"


class Keeping(Protocol):
    """What this asks of a registry."""

    store: ObjectStore
    _pause: Callable[[float], None]


class Rollouts:
    """Thread-safe; all calls block."""

    def record_rollout(self: Keeping, record: RolloutRecord) -> None:
        """Writes the record unless it is there."""
        create(self.store, rollout_key(record), record.to_json(), pause=self._pause)

    def rollouts(self: Keeping, namespace: str, name: str, *, limit: int = KEPT) -> list[RolloutRecord]:
        """The newest records of a ModelDeployment, newest first. One that cannot be read is passed over."""

        def read(key: str) -> RolloutRecord | None:
            try:
                return documents.read(self.store, key, RolloutRecord)
            except (CorruptRecord, NewerSchema):
                return None

        keys = sorted((info.key for info in self.store.list(_folder(namespace, name))), reverse=True)[:limit]
        return [record for record in in_parallel(read, keys, 8) if record is not None]

    def rollout_keys(self: Keeping) -> set[str]:
        """Keys of all records, in one request for each thousand."""
        return {info.key for info in self.store.list(PREFIX)}


@dataclass(frozen=True)
class Life:
    """A record by its key alone, with the time until which it counted: a revision that served, until the next one did."""

    key: str
    ended: datetime
    newest: bool
    """One of those that stay however old they are."""


def lives(keys: Iterable[str]) -> Iterator[Life]:
    """All records, by their keys; keys of another form are passed over."""
    for _folder_name, group in groupby(sorted(keys), key=lambda key: key.rpartition("/")[0]):
        known = [(key, *parsed) for key in group if (parsed := _parse(key)) is not None]
        served = [at for _, at, outcome in known if outcome == "served"]
        for index, (key, at, outcome) in enumerate(known):
            after = next((other for other in served if other > at), at) if outcome == "served" else at
            yield Life(key, after, newest=index >= len(known) - KEPT)


def _parse(key: str) -> tuple[datetime, str] | None:
    time, _, rest = key.rpartition("/")[2].partition("-")
    try:
        return datetime.strptime(time, _TIME).replace(tzinfo=UTC), rest.partition("-")[0]
    except ValueError:
        return None


def rollout_key(record: RolloutRecord) -> str:
    """Where the record lies."""
    time = record.at.astimezone(UTC).strftime(_TIME)
    name = f"{time}-{record.outcome.lower()}-{record.revision}.json"
    return f"{_folder(record.namespace, record.name)}{check_path(name)}"


def _folder(namespace: str, name: str) -> str:
    return f"{PREFIX}{check_path(namespace)}/{check_path(name)}/"
