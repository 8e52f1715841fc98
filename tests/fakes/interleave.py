"""Runs threads one store call at a time, in an order that is chosen, and lets calls crash: races that can be repeated."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from slipway.storage import NotFound, ObjectInfo, ObjectStore, OutcomeUnknown, Stored, Unavailable

Action = Literal["go", "crash before", "crash after", "lose request", "lose answer"]
ACTIONS: tuple[Action, ...] = ("go", "crash before", "crash after", "lose request", "lose answer")


class Crash(BaseException):
    """The process died here: no handler of the code under test may catch it."""


@dataclass
class Worker:
    """One client. Afterwards it has a `result` or an `error`, and the steps of the schedule in which it began and ended."""

    name: str
    run: Callable[[ObjectStore], object]
    result: Any = None
    error: BaseException | None = None
    began: int = -1
    ended: int = -1


@dataclass
class _Seat:
    """A worker's place in the game: it stops before each call until it is let go with an action."""

    worker: Worker
    changed: threading.Condition
    turn: threading.Lock = field(default_factory=threading.Lock)
    state: Literal["running", "waiting", "done"] = "running"
    action: Action = "go"

    def wait(self) -> Action:
        with self.changed:
            self.state = "waiting"
            self.changed.notify_all()
            if not self.changed.wait_for(lambda: self.state == "running", timeout=60):
                raise Crash("never let go")
            return self.action

    def let_go(self, action: Action) -> None:
        with self.changed:
            self.action, self.state = action, "running"
            self.changed.notify_all()

    def play(self, shared: ObjectStore) -> None:
        try:
            self.worker.result = self.worker.run(Gate(shared, self))
        except BaseException as error:
            self.worker.error = error
        with self.changed:
            self.state = "done"
            self.changed.notify_all()


class Gate:
    """A worker's view of the shared store."""

    def __init__(self, store: ObjectStore, seat: _Seat) -> None:
        self._store = store
        self._seat = seat
        self._asked = 0

    @property
    def uri(self) -> str:
        return self._store.uri

    def _call(self, name: str, *args: Any, **named: Any) -> Any:
        lost = OutcomeUnknown("lost") if name in ("put_if_absent", "put_if_match") else Unavailable("lost")
        with self._seat.turn:  # a worker's own threads take turns
            action = self._seat.wait()
            if action in ("crash before", "lose request"):
                raise Crash if action == "crash before" else lost
            answer = getattr(self._store, name)(*args, **named)
            answer = list(answer) if name in ("list", "list_folders") else answer
            if action in ("crash after", "lose answer"):
                raise Crash if action == "crash after" else lost
            return answer

    def get(self, key: str, *, if_match: str | None = None) -> Stored:
        return self._call("get", key, if_match=if_match)  # type: ignore[no-any-return]

    def get_many(self, keys: Sequence[str]) -> Sequence[Stored | None]:
        """One after another, now from the first and now from the last: nobody may rely on an order."""
        self._asked += 1
        found: dict[str, Stored | None] = {}
        for key in list(keys)[:: 1 if self._asked % 2 else -1]:
            try:
                found[key] = self.get(key)
            except NotFound:
                found[key] = None
        return [found[key] for key in keys]

    def head(self, key: str) -> ObjectInfo:
        return self._call("head", key)  # type: ignore[no-any-return]

    def put(self, key: str, data: bytes, *, content_type: str = "") -> ObjectInfo:
        return self._call("put", key, data)  # type: ignore[no-any-return]

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = "") -> ObjectInfo:
        return self._call("put_if_absent", key, data)  # type: ignore[no-any-return]

    def delete(self, key: str) -> None:
        self._call("delete", key)

    def end_unfinished(self, prefix: str, before: object) -> int:
        return 0

    def list(self, prefix: str, *, start_after: str = "", limit: int | None = None) -> Iterator[ObjectInfo]:
        return iter(self._call("list", prefix, start_after=start_after, limit=limit))

    def list_folders(self, prefix: str) -> Iterator[str]:
        return iter(self._call("list_folders", prefix))


def interleave(shared: ObjectStore, workers: Sequence[Worker], schedule: Sequence[tuple[int, Action]]) -> None:
    """Runs `workers` on views of `shared`. Each step of `schedule` lets one of those that wait do its next store call;
    when the schedule has ended, they go on in turn. What a worker raises is kept in it."""
    changed = threading.Condition()
    seats = [_Seat(worker, changed) for worker in workers]
    threads = [threading.Thread(target=seat.play, args=(shared,), daemon=True) for seat in seats]
    for thread in threads:
        thread.start()
    steps = iter(schedule)
    step = 0
    while True:
        with changed:
            if not changed.wait_for(lambda: all(seat.state != "running" for seat in seats), timeout=60):
                raise AssertionError("a worker hangs outside of a store call")
        for seat in seats:
            if seat.state == "done" and seat.worker.ended == -1:
                seat.worker.ended = step
        waiting = [seat for seat in seats if seat.state == "waiting"]
        if not waiting:
            break
        choice, action = next(steps, (step, "go"))
        seat = waiting[choice % len(waiting)]
        if seat.worker.began == -1:
            seat.worker.began = step
        step += 1
        seat.let_go(action)
    for thread in threads:
        thread.join(timeout=60)
