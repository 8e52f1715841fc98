"""Tells a webhook of changes, as CloudEvents. It never holds up a reconcile: what is to be told waits in short lines, is tried
again with growing pauses, and is dropped, with a word in the log, when the receiver is away for long.

What is told follows from what status records, so that an operator that is started again tells what the one before may not
have got away: under the same id, by which a receiver drops what it has already."""

from __future__ import annotations

import asyncio
import logging
import random
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import aiohttp

from slipway.kube.port import Object
from slipway.reconcile.contract import Key
from slipway.reconcile.notices import Notice, TellsFacts

if TYPE_CHECKING:
    from cloudevents.core.v1.event import CloudEvent

log = logging.getLogger(__name__)

TYPE_PREFIX = "dev.slipway"
LANES = 4
"""Requests under way at a time. Events of one resource go one after the other."""
MAX_WAITING = 1000
TIMEOUT = 10.0
"""Seconds for one request."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
GIVE_UP = 900.0
"""Seconds after which an event that nobody took is dropped."""
LOOK_BACK = timedelta(minutes=15)
"""How old a fact may be that a newly started operator tells."""
KNOWN = 64
"""Ids of a resource that are remembered as told."""
_AGAIN = frozenset({408, 425, 429})
Count = Callable[[str], None]


@dataclass(frozen=True)
class _Waiting:
    event: CloudEvent
    since: float


class Webhook:
    """`url` of the receiver; ``""``: nobody is told. `header` goes along with every request: name and value, the value a secret.
    `source` goes before the source of every event, to tell clusters apart. `count` is told of each end: sent, dropped."""

    def __init__(
        self,
        url: str = "",
        *,
        header: tuple[str, str] | None = None,
        source: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timeout: float = TIMEOUT,
        count: Count = lambda _word: None,
    ) -> None:
        self._url = url
        self._header = {header[0]: header[1].strip()} if header and header[1].strip() else {}
        self._source = source.rstrip("/")
        self._clock = clock
        self._sleep = sleep
        self._timeout = timeout
        self._count = count
        self._horizon = clock() - LOOK_BACK
        self._told: dict[Key, dict[str, None]] = {}
        self._lanes: tuple[deque[_Waiting], ...] = tuple(deque() for _ in range(LANES))
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.dropped = 0

    async def looked(self, controller: object, resource: Object) -> None:
        """Takes what is new in a status that is written. Returns at once."""
        if not self._url or not isinstance(controller, TellsFacts):
            return
        meta = resource["metadata"]
        key = Key(resource["kind"], meta["namespace"], meta["name"])
        first, told = key not in self._told, self._told.setdefault(key, {})
        for notice in controller.notices(resource):
            name = notice.id(resource)
            if name in told:
                continue
            told[name] = None
            if not first or notice.at >= self._horizon:
                self._put(key, event_of(resource, notice, self._source))
        for old in list(told)[:-KNOWN]:
            del told[old]

    def gone(self, key: Key) -> None:
        """Forgets a resource that is no more."""
        self._told.pop(key, None)

    @property
    def waiting(self) -> int:
        """How many events wait to be sent."""
        return sum(map(len, self._lanes))

    async def run(self) -> None:
        """Sends until cancelled."""
        if not self._url:
            await asyncio.Event().wait()
        limit = aiohttp.ClientTimeout(total=self._timeout)
        async with aiohttp.ClientSession(timeout=limit) as session, asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._serve(session, lane))

    async def flush(self, seconds: float) -> None:
        """Waits until all is sent, for at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _put(self, key: Key, event: CloudEvent) -> None:
        lane = self._lanes[zlib.crc32(str(key).encode()) % LANES]
        if self.waiting >= MAX_WAITING:
            longest = max(self._lanes, key=len)
            self._drop(longest.popleft().event, f"{MAX_WAITING} events wait already")
        lane.append(_Waiting(event, self._clock().timestamp()))
        self._idle.clear()
        self._news.set()

    async def _serve(self, session: aiohttp.ClientSession, lane: deque[_Waiting]) -> None:
        pause = FIRST_PAUSE
        while True:
            while not lane:
                self._news.clear()
                await self._news.wait()
            head = lane[0]
            why, wish = await self._post(session, head.event)
            if why is not None and wish is not None and self._clock().timestamp() - head.since < GIVE_UP:
                await self._sleep(max(min(wish, LONGEST_PAUSE), pause * random.uniform(0.8, 1.2)))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if lane and lane[0] is head:
                lane.popleft()
                if why is None:
                    self._count("sent")
                else:
                    self._drop(head.event, why)
            if not self.waiting:
                self._idle.set()

    async def _post(self, session: aiohttp.ClientSession, event: CloudEvent) -> tuple[str | None, float | None]:
        """Why it was not taken, None when it was; and the least seconds to wait before it is tried again, None: it is not."""
        from cloudevents.core.bindings.http import to_structured
        from cloudevents.core.formats.json import JSONFormat

        message = to_structured(event, JSONFormat())
        try:
            # A redirect could lead the secret anywhere, and would lose the body: the answer to it is a corrected URL.
            async with session.post(
                self._url, data=message.body, headers={**message.headers, **self._header}, allow_redirects=False
            ) as answer:
                return _verdict(answer.status, answer.headers.get("Retry-After", ""))
        except TimeoutError:
            return f"no answer within {self._timeout:g} s", 0.0
        except (aiohttp.ClientError, OSError) as error:
            return type(error).__name__, 0.0
        except ValueError:
            return "the URL or the header is not well formed", None

    def _drop(self, event: CloudEvent, why: str) -> None:
        self.dropped += 1
        self._count("dropped")
        host = urlsplit(self._url).hostname
        log.warning("event %s of %s not told to %s: %s", event.get_type(), event.get_source(), host, why)


def _verdict(status: int, retry_after: str) -> tuple[str | None, float | None]:
    if 200 <= status < 300:
        return None, None
    if status in _AGAIN or status >= 500:
        return f"status {status}", float(retry_after) if retry_after.isdigit() else 0.0
    if 300 <= status < 400:
        return f"status {status}: redirects are not followed, name the address itself", None
    return f"status {status}", None


def event_of(resource: Object, notice: Notice, source: str = "") -> CloudEvent:
    """The notice as a CloudEvent 1.0."""
    from cloudevents.core.v1.event import CloudEvent

    meta, kind = resource["metadata"], resource["kind"]
    attributes = {
        "specversion": "1.0",
        "id": notice.id(resource),
        "type": f"{TYPE_PREFIX}.{kind.lower()}.{notice.what}.v1",
        "source": f"{source}/apis/{resource['apiVersion']}/namespaces/{meta['namespace']}/{kind.lower()}s/{quote(meta['name'])}",
        "subject": f"{meta['namespace']}/{meta['name']}",
        "time": notice.at.astimezone(UTC),
        "datacontenttype": "application/json",
    }
    data: dict[str, Any] = {
        "kind": kind,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "message": notice.message,
        **{name: value for name, value in notice.data.items() if value is not None},
    }
    return CloudEvent(attributes, data)
