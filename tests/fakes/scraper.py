"""Pods' /metrics by script: what each pod has counted since it started, as text that a model server would send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from slipway.kube.port import Object
from tests.fakes.api_server import FakeApiServer

BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)


@dataclass(frozen=True)
class Behaviour:
    """How a pod answers: requests per second, the shares of them that fail, the latency in seconds of all."""

    rate: float = 10.0
    errors: float = 0.0
    client_errors: float = 0.0
    latency: float = 0.004
    other_predictions: float = 0.0
    """Population stability index of its predictions against training, over the server's window of a minute."""
    restarts_every: float = 0.0
    """Seconds after which its process starts anew, and counts from zero; 0: never."""


Script = Callable[[Object], Behaviour | None]
"""Given the pod: how it behaves; None when it cannot be read."""


def well(_pod: Object) -> Behaviour:
    return Behaviour()


@dataclass
class _Copies:
    """What a pod has been told, and what it has counted since."""

    candidate: str
    since: float
    share: int = 0
    until: float = 0.0
    seconds: float = 0.0
    """For how long all requests would have been copied to give as many copies."""

    def told(self, now: float, percent: int, seconds: float) -> None:
        self._count(now)
        self.share, self.until = percent, now + seconds

    def _count(self, now: float) -> None:
        self.seconds += max(0.0, min(now, self.until) - self.since) * self.share / 100
        self.since = now

    def page(self, now: float, rate: float, agreement: float) -> str:
        self._count(now)
        rows = int(self.seconds * rate)
        agreed = int(rows * agreement)
        labels = f'candidate="{self.candidate}"'
        lines = ["# TYPE slipway_shadow_requests counter", f'slipway_shadow_requests_total{{{labels},result="compared"}} {rows}']
        lines += ["# TYPE slipway_shadow_rows counter", f'slipway_shadow_rows_total{{{labels},result="agree"}} {agreed}']
        lines += [f'slipway_shadow_rows_total{{{labels},result="disagree"}} {rows - agreed}']
        lines += ["# TYPE slipway_shadow_distance counter", f"slipway_shadow_distance_total{{{labels}}} {(rows - agreed) * 0.5}"]
        return "\n".join(lines) + "\n"


class FakeScraper:
    """`script` may be changed at any time; `numbers` are Prometheus' answers by query (missing: it does not answer)."""

    def __init__(self, api: FakeApiServer, script: Script = well) -> None:
        self.api = api
        self.script = script
        self.numbers: dict[str, float] = {}
        self.read: list[str] = []
        self.agreement = 1.0
        """Share of rows that a candidate answers as the stable revision does."""
        self._copies: dict[str, _Copies] = {}

    async def pages(self, urls: Iterable[str]) -> Mapping[str, str]:
        """As the port says."""
        pods = {pod.get("status", {}).get("podIP"): pod for pod in self.api.all("Pod")}
        texts = {}
        for url in urls:
            self.read.append(url)
            pod = pods.get(urlsplit(url).hostname)
            behaviour = self.script(pod) if pod is not None else None
            if pod is not None and behaviour is not None:
                started = datetime.fromisoformat(pod["status"]["startTime"])
                age = (self.api.clock() - started).total_seconds()
                if behaviour.restarts_every:
                    age %= behaviour.restarts_every
                texts[url] = page(behaviour, age, self.api.clock().timestamp() - age)
                copies = self._copies.get(urlsplit(url).hostname or "")
                if copies is not None:
                    texts[url] += copies.page(self.api.clock.monotonic(), behaviour.rate, self.agreement)
        return texts

    async def tell(self, urls: Iterable[str], document: Mapping[str, Any]) -> int:
        """As `Teller` says: the pods copy from now on, until time is up."""
        known = tuple(urls)
        for url in known:
            assert url.endswith("/slipway/shadow")
            pod, now = urlsplit(url).hostname or "", self.api.clock.monotonic()
            before = self._copies.get(pod)
            if before is None or before.candidate != document["candidate"]:
                before = self._copies[pod] = _Copies(document["candidate"], now)
            before.told(now, document["percent"], document["seconds"])
        return len(known)

    def percent(self) -> set[int]:
        """Of how many requests pods make copies now."""
        now = self.api.clock.monotonic()
        return {copies.share for copies in self._copies.values() if now <= copies.until and copies.share}

    async def query(self, text: str) -> tuple[float | None, str]:
        """As the port says."""
        self.read.append(text)
        return (self.numbers[text], "") if text in self.numbers else (None, "Prometheus does not answer")


def page(behaviour: Behaviour, seconds: float, started: float) -> str:
    """What a pod that has behaved so for `seconds` says."""
    total = int(behaviour.rate * seconds)
    bad, refused = int(total * behaviour.errors), int(total * behaviour.client_errors)
    counts = {"200": total - bad - refused, "500": bad, "422": refused}
    lines = ["# TYPE slipway_requests counter"]
    lines += [f'slipway_requests_total{{endpoint="v2_infer",status="{s}"}} {c}' for s, c in counts.items()]
    lines += [f'slipway_requests_total{{endpoint="v2_live",status="200"}} {int(seconds)}']
    lines += ["# TYPE slipway_request_duration_seconds histogram"]
    for bound in (*BOUNDS, float("inf")):
        count = total if behaviour.latency <= bound else 0
        label = "+Inf" if bound == float("inf") else bound
        lines.append(f'slipway_request_duration_seconds_bucket{{endpoint="v2_infer",le="{label}"}} {count}')
    minute = 'model="m",version="2",window="1m"'
    lines += [
        "# TYPE slipway_prediction_psi gauge",
        f'slipway_prediction_psi{{{minute},output="y"}} {behaviour.other_predictions}',
    ]
    lines += ["# TYPE slipway_drift_rows gauge", f"slipway_drift_rows{{{minute}}} {int(behaviour.rate * min(seconds, 60))}"]
    lines += ["# TYPE process_start_time_seconds gauge", f"process_start_time_seconds {started}"]
    return "\n".join(lines) + "\n"
