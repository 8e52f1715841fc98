"""Aliases of one model: each an append-only history of moves, of which the last is the present."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

from slipway.registry import documents
from slipway.registry.errors import CorruptRecord, LostRace
from slipway.registry.names import ModelName, check_alias
from slipway.registry.records import AliasMove
from slipway.registry.sequence import Ends, NumberedLog, Position, runs
from slipway.storage.parallel import in_parallel
from slipway.storage.port import ObjectStore

_BATCH = 64


class Expected(Enum):
    """What a caller may expect of an alias besides a version (or None: not set)."""

    ANY = "any"


ANY: Final = Expected.ANY
"""Move the alias whatever it points at."""


class Aliases:
    """The aliases of `model`. Thread-safe; all calls block."""

    def __init__(
        self,
        store: ObjectStore,
        model: ModelName,
        *,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        ends: Ends | None = None,
    ) -> None:
        self._monotonic = monotonic
        self.model = model
        self._store = store
        self._pause = pause
        self._ends = ends
        self._prefix = f"models/{model.namespace}/{model.model}/aliases/"

    def names(self) -> list[str]:
        """All aliases that were ever set, sorted."""
        return sorted(self._store.list_folders(self._prefix))

    def current(self, alias: str) -> AliasMove | None:
        """The last move; None when the alias was never set. Its `version` is None when it was taken away."""
        log = self._log(alias)
        return self._last(log, alias, log.tail())

    def all(self) -> dict[str, AliasMove]:
        """The aliases that point at a version now, by name."""
        names = self.names()
        moves = in_parallel(self.current, names, 8)
        return {name: move for name, move in zip(names, moves, strict=True) if move and move.version is not None}

    def move(
        self,
        alias: str,
        version: int | None,
        *,
        by: str,
        reason: str,
        expected: int | Expected | None,
        writer: str,
        clock: Callable[[], datetime],
    ) -> AliasMove:
        """Appends a move. The answer's `changed` is False when the alias pointed there already. Raises LostRace when it
        does not point at `expected`."""
        log = self._log(check_alias(alias))
        position = log.tail(surely=True)
        while True:
            last = self._last(log, alias, position)
            present = last.version if last is not None else None
            if expected is not ANY and present != expected:
                raise LostRace(_not_as_expected(f"{self.model}@{alias}", last, expected))
            if present == version and (last is not None or version is None):
                return self._unchanged(alias, last, by, reason, writer, clock())
            move = AliasMove(
                number=position.last + 1,
                model=str(self.model),
                alias=alias,
                version=version,
                previous=present,
                # Times must rise along the history whatever the writers' clocks say, so that it can be searched by
                # time.
                at=max(clock(), last.at) if last is not None else clock(),
                by=by,
                reason=reason,
                writer=writer,
            )
            body = move.to_json()
            if log.claim(move.number, body) == body:
                log.remember(move.number, position.hint)
                return move
            position = Position(log.last_after(move.number), position.hint)

    def history(self, alias: str, at: datetime | None, limit: int | None) -> list[AliasMove]:
        """Moves newest first, at most `limit`; with `at`, only those up to then, so that the first was in force
        then."""
        log = self._log(alias)
        last = log.position().last
        top = last if at is None else self._last_until(log, alias, last, at)
        return list(self._moves(log, alias, range(top, 0 if limit is None else max(0, top - limit), -1)))

    def newest_first(self, alias: str) -> Iterator[AliasMove]:
        """All moves, read as they are asked for."""
        log = self._log(alias)
        yield from self._moves(log, alias, range(log.position().last, 0, -1))

    def _moves(self, log: NumberedLog, alias: str, numbers: Sequence[int]) -> Iterator[AliasMove]:
        for run in runs(numbers, _BATCH):
            for number, data in zip(run, log.read_many(run), strict=True):
                if data is not None:
                    yield self._parse(log, alias, number, data)

    def _last_until(self, log: NumberedLog, alias: str, last: int, at: datetime) -> int:
        """The number of the last move not after `at`, by bisection; 0 when there is none."""
        low, high = 0, last
        while low < high:
            middle = (low + high + 1) // 2
            if self._read(log, alias, middle).at <= at:
                low = middle
            else:
                high = middle - 1
        return low

    def _unchanged(self, alias: str, last: AliasMove | None, by: str, reason: str, writer: str, now: datetime) -> AliasMove:
        if last is not None:
            return last.model_copy(update={"changed": False})
        # Taken away though never set: nothing to append to, and nothing to do.
        return AliasMove(
            number=1, model=str(self.model), alias=alias, version=None, previous=None,
            at=now, by=by, reason=reason, writer=writer, changed=False,
        )  # fmt: skip

    def _last(self, log: NumberedLog, alias: str, position: Position) -> AliasMove | None:
        if not position.last:
            return None
        if position.entry is None:
            return self._read(log, alias, position.last)
        return self._parse(log, alias, position.last, position.entry)

    def _read(self, log: NumberedLog, alias: str, number: int) -> AliasMove:
        data = log.read(number)
        if data is None:
            raise CorruptRecord(f"{self._store.uri}/{log.key(number)} is gone though later moves exist: restore it")
        return self._parse(log, alias, number, data)

    def _parse(self, log: NumberedLog, alias: str, number: int, data: bytes) -> AliasMove:
        where = f"{self._store.uri}/{log.key(number)}"
        move = documents.load(AliasMove, data, where)
        if (move.model, move.alias, move.number) != (str(self.model), alias, number):
            raise CorruptRecord(f"{where} says that it is move {move.number} of {move.model}@{move.alias}")
        return move

    def _log(self, alias: str) -> NumberedLog:
        check_alias(alias, reserved=False)
        return NumberedLog(
            self._store,
            f"{self._prefix}{alias}/",
            f"index/last/aliases/{self.model}/{alias}.json",
            pause=self._pause,
            monotonic=self._monotonic,
            ends=self._ends,
        )


def _not_as_expected(alias: str, last: AliasMove | None, expected: int | Expected | None) -> str:
    wanted = "not set" if expected is None else f"at version {expected}"
    if last is None:
        return f"{alias} is not set, expected it to be {wanted}: read it again"
    present = "not set" if last.version is None else f"at version {last.version}"
    return f"{alias} is {present} since {last.at.isoformat()} (moved by {last.by}), expected {wanted}: read it again"
