"""The port to what pods measure, and its adapter: pages of metrics over HTTP, and queries to a Prometheus.

What cannot be read is left out of the answer: it is no data, which is for the caller to judge, and never an error that
would keep the caller from its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import aiohttp

CONCURRENCY = 32
TIMEOUT = 2.0
"""Seconds for one page. A pod that takes longer to tell its counters is no help in a gate."""
QUERY_TIMEOUT = 5.0
MAX_PAGE = 4 << 20


class Scraper(Protocol):
    """Reads metrics. Nothing is raised; calls are bounded in number and time."""

    async def pages(self, urls: Iterable[str]) -> Mapping[str, str]:
        """The text of each page that could be had, by its URL."""

    async def query(self, text: str) -> tuple[float | None, str]:
        """The one number that Prometheus answers to a query, or None and why there is none."""


class Teller(Protocol):
    """Sends pods what they shall do."""

    async def tell(self, urls: Iterable[str], document: Mapping[str, Any]) -> int:
        """POSTs `document` as JSON; how many took it. Nothing is raised, and nothing sent twice."""


class NoScraper:
    """For processes that read no metrics."""

    async def pages(self, urls: Iterable[str]) -> Mapping[str, str]:
        """As the protocol says: nothing."""
        return {}

    async def query(self, text: str) -> tuple[float | None, str]:
        """As the protocol says: nothing."""
        return None, "no Prometheus is named"


class HttpScraper:
    """`Scraper` over aiohttp. `prometheus` is the base URL of a Prometheus; empty: there is none. Close it at the end."""

    def __init__(self, prometheus: str = "", *, timeout: float = TIMEOUT, concurrency: int = CONCURRENCY) -> None:
        self._prometheus = prometheus.rstrip("/")
        self._timeout = timeout
        self._slots = asyncio.Semaphore(concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes its connections."""
        if self._session is not None:
            await self._session.close()

    async def pages(self, urls: Iterable[str]) -> Mapping[str, str]:
        """As the protocol says."""
        wanted = tuple(dict.fromkeys(urls))
        texts = await asyncio.gather(*(self._page(url) for url in wanted))
        return {url: text for url, text in zip(wanted, texts, strict=True) if text is not None}

    async def _page(self, url: str) -> str | None:
        try:
            async with self._slots, asyncio.timeout(self._timeout), self._open().get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    return None
                body = await answer.content.read(MAX_PAGE + 1)
                while len(body) <= MAX_PAGE and (more := await answer.content.read(MAX_PAGE + 1 - len(body))):
                    body += more
                return None if len(body) > MAX_PAGE else body.decode("utf-8", "replace")
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return None

    async def tell(self, urls: Iterable[str], document: Mapping[str, Any]) -> int:
        """As `Teller` says."""
        return sum(await asyncio.gather(*(self._post(url, document) for url in dict.fromkeys(urls))))

    async def _post(self, url: str, document: Mapping[str, Any]) -> bool:
        try:
            async with (
                self._slots,
                asyncio.timeout(self._timeout),
                self._open().post(url, json=document, allow_redirects=False) as answer,
            ):
                return answer.status == 200
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            return False

    async def query(self, text: str) -> tuple[float | None, str]:
        """As the protocol says."""
        if not self._prometheus:
            return None, "this installation names no Prometheus (chart value prometheus.url)"
        try:
            async with (
                self._slots,
                asyncio.timeout(QUERY_TIMEOUT),
                self._open().post(f"{self._prometheus}/api/v1/query", data={"query": text}) as answer,
            ):
                return _number(await answer.json(content_type=None), answer.status)
        except TimeoutError:
            return None, f"Prometheus gave no answer within {QUERY_TIMEOUT:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return None, f"Prometheus does not answer: {type(error).__name__}"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONCURRENCY, force_close=False))
        return self._session


def _number(answer: object, status: int) -> tuple[float | None, str]:
    """The number in Prometheus' answer."""
    if not isinstance(answer, Mapping) or answer.get("status") != "success":
        words = answer.get("error", "") if isinstance(answer, Mapping) else ""
        return None, f"Prometheus refused the query ({status}): {str(words)[:300]}"
    data = answer.get("data", {})
    found = data.get("result", [])
    if data.get("resultType") == "scalar":
        return _finite(found[1])
    if len(found) != 1:
        return None, "the query gives no number" if not found else f"the query gives {len(found)} numbers, one is wanted"
    return _finite(found[0].get("value", [0, "NaN"])[1])


def _finite(text: str) -> tuple[float | None, str]:
    value = float(text)
    return (value, "") if value == value and abs(value) != float("inf") else (None, f"the query gives {text}")
