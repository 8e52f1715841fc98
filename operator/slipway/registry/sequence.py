"""Numbered objects 1, 2, 3 … under one prefix, without a gap or a duplicate whoever races and whoever dies.

Nothing but put-if-absent is needed: a writer takes the lowest number that it has found free. Numbers are never
freed, so a number that a list shows implies all below it, and a stale list only costs one refused write more.

A hint object says where the end was a while ago, so that finding the end takes two requests, however long the sequence.
The hint may be missing, stale or wrong: it is checked against the entries, and without it the end is found by doubling
steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile

from slipway.registry.documents import peek
from slipway.registry.records import canonical_json
from slipway.storage.port import NotFound, ObjectStore, Precondition, StorageError, Unavailable

HINT_EVERY = 8
"""A writer renews the hint when it is this far behind."""

_PAGE = 1000
_TRIES = 6


TRUSTED_FOR = 10.0
"""Seconds for which a reader believes that an entry which it has read is still there. None is ever taken away; but a bucket may be
emptied by hand, or brought back from a copy, under a process that lives on."""


@dataclass(frozen=True)
class Position:
    """Where a sequence ends (0: it is empty), and where its hint said it ends. `entry`: what the last one holds, when it was
    read, which was at `read_at`, in seconds of the reader's own clock."""

    last: int
    hint: int
    entry: bytes | None = None
    read_at: float = 0.0


Ends = dict[str, Position]
"""Where sequences ended when they were last looked at, by the key of their hint. Numbers are never freed, so an old end is a
good place to look from; it is checked by the same requests that find the new one."""


class NumberedLog:
    """An append-only sequence of objects. All calls block."""

    def __init__(
        self,
        store: ObjectStore,
        prefix: str,
        hint_key: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        ends: Ends | None = None,
    ) -> None:
        self.store = store
        self._monotonic = monotonic
        self.prefix = prefix
        self._hint_key = hint_key
        self._pause = pause
        self._ends: Ends = {} if ends is None else ends

    def key(self, number: int) -> str:
        """The key of an entry, in which numbers sort as text."""
        return f"{self.prefix}{number:012d}.json"

    def read(self, number: int) -> bytes | None:
        """The entry's bytes; None when it does not exist."""
        try:
            return self.store.get(self.key(number)).data
        except NotFound:
            return None

    def read_many(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Several entries at once, in the order asked for."""
        found = self.store.get_many([self.key(number) for number in numbers])
        return [stored.data if stored is not None else None for stored in found]

    def position(self) -> Position:
        """Where the sequence ends now: in one request when it was looked for before, in two when the hint is good."""
        found = self._position()
        self._ends[self._hint_key] = found
        return found

    def _position(self) -> Position:
        before = self._ends.get(self._hint_key)
        if before is not None and before.last and (last := self._from(before.last)):
            return Position(last, before.hint)
        hint = self._read_hint()
        if hint and (last := self._from(hint)):
            return Position(last, hint)
        return Position(self._end(self._numbers(0, _PAGE)), 0)

    def tail(self, *, surely: bool = False) -> Position:
        """Where the sequence ends now, with its last entry. In one round of two or three reads when at most one entry has come
        since it was looked for before, and without a list: entry n is the last one at some moment between the reads that found
        n there and n + 1 not, in whichever order they were done, because numbers are taken in turn. With `surely`, an entry
        that was read before is read again: a writer builds on it."""
        before = self._ends.get(self._hint_key) or Position(0, 0)
        known = before if before.last else Position(hint := self._read_hint(), hint)
        found = (known.last and self._tail_from(known, surely=surely)) or self.position()
        if found.last and found.entry is None:
            found = replace(found, entry=self.read(found.last), read_at=self._monotonic())
        self._ends[self._hint_key] = found
        return found

    def _tail_from(self, known: Position, *, surely: bool) -> Position | None:
        """None when the end is not near `known`, or is not as it must be."""
        now = self._monotonic()
        believed = not surely and known.entry is not None and now - known.read_at < TRUSTED_FOR
        numbers = [known.last + 1, known.last + 2]
        after, beyond, *read = self.read_many(numbers if believed else [*numbers, known.last])
        here = known.entry if believed else read[0]
        if beyond is not None or here is None:
            return None
        if after is not None:
            return Position(known.last + 1, known.hint, after, now)
        return replace(known, entry=here, read_at=known.read_at if believed else now)

    def _from(self, number: int) -> int:
        """The highest number; 0 when there is no entry `number`."""
        page = self._numbers(number - 1, _PAGE)
        return self._end(page) if page and page[0] == number else 0

    def last_after(self, number: int) -> int:
        """The highest number, given that `number` exists."""
        page = self._numbers(number, _PAGE)
        return self._end(page) if page else number

    def claim(self, number: int, body: bytes) -> bytes:
        """Writes entry `number` unless it exists, and gives what is there then: `body` means that it is ours. `body`
        must hold something that only this writer writes. Raises Unavailable when it cannot be found out whether it was
        written; trying again with any body is safe."""
        return create(self.store, self.key(number), body, pause=self._pause)

    def remember(self, number: int, hint: int) -> None:
        """Renews the hint when it is far behind. A hint that cannot be written is no error: it is only a hint."""
        if number - hint >= HINT_EVERY:
            with suppress(StorageError):
                self.store.put(self._hint_key, canonical_json({"last": number}), content_type="application/json")
                self._ends[self._hint_key] = Position(number, number)

    def _read_hint(self) -> int:
        try:
            value = peek(self.store.get(self._hint_key).data, "last")
        except NotFound:
            return 0
        return value if isinstance(value, int) and 0 < value < 10**12 else 0

    def _end(self, page: list[int]) -> int:
        """The highest number, given one page of a list."""
        if not page:
            return 0
        low = page[-1]
        if len(page) < _PAGE:
            return low
        step = _PAGE
        while further := self._numbers(low + step, 1):
            low, step = further[0], step * 2
        while step > _PAGE:
            step //= 2
            if further := self._numbers(low + step, 1):
                low = further[0]
        return max(self._numbers(low, None), default=low)

    def _numbers(self, after: int, limit: int | None) -> list[int]:
        """The numbers above `after` that a list shows, ascending."""
        infos = self.store.list(self.prefix, start_after=self.key(after), limit=limit)
        return [number for info in infos if (number := self._number(info.key)) is not None]

    def _number(self, key: str) -> int | None:
        name = key.removeprefix(self.prefix)
        digits = name.removesuffix(".json")
        return int(digits) if len(name) == 17 and len(digits) == 12 and digits.isascii() and digits.isdigit() else None


def create(store: ObjectStore, key: str, body: bytes, *, pause: Callable[[float], None] = time.sleep) -> bytes:
    """Writes `body` under `key` unless there is something, and gives what is there then. A write whose outcome was not
    told is recognised by its content. Raises Unavailable when the outcome cannot be found out."""
    for attempt in range(_TRIES):
        try:
            store.put_if_absent(key, body)
            return body
        except Precondition as error:
            refused = error
        try:
            return store.get(key).data
        except NotFound:
            # Refused, or lost on the way, and not there: a write of another may be under way. The same body again:
            # should the first one arrive late, then it is ours all the same.
            pause(0.02 * 2**attempt)
    raise Unavailable(f"{store.uri}/{key}: {_TRIES} conditional writes were refused, yet nothing is there") from refused


def runs(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """`numbers` in slices of at most `size`."""
    yield from takewhile(bool, (numbers[start : start + size] for start in range(0, len(numbers), size)))
