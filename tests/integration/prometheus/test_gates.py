"""Gates read from a real Prometheus: what it says of good and bad pods, of counters that reset, of pods that it cannot scrape, and
nothing at all when it is down.

Most of what it knows is written into its blocks beforehand, so that no test waits for time to pass."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from slipway.api.model_deployment import ModelDeployment
from slipway.api.rollout import GateVerdict, RolloutGate
from slipway.controllers.model_deployment.gates import judge
from slipway.controllers.model_deployment.measure import readings
from slipway.controllers.model_deployment.promql import request_rate
from slipway.telemetry.scrape import HttpScraper
from tests import debian_prometheus
from tests.faults.controllers import worlds
from tests.faults.world import World

STEP = 5
SPAN = 900
"""Seconds before and after now for which samples are written."""
BUCKETS = (0.005, 0.01, 0.1, 1.0)
GOOD, BAD, RESET, SILENT, IDLE, SLOW = ("a" * 8, "b" * 8, "c" * 8, "d" * 8, "e" * 8, "f" * 8)
STABLE = "5" * 8


def counters(second: int, *, rate: float, errors: float = 0.0, reset_every: int = 0) -> tuple[float, float]:
    """Good and failed requests counted after so many seconds; with `reset_every`, by processes that start anew."""
    age = second % reset_every if reset_every else second
    return rate * (1 - errors) * age, rate * errors * age


def page(now: int) -> str:
    """OpenMetrics of pods of seven revisions, ten requests a second each but the idle one."""
    behaviours: dict[str, dict[str, Any]] = {
        STABLE: {"rate": 10.0},
        GOOD: {"rate": 10.0},
        BAD: {"rate": 10.0, "errors": 0.5},
        RESET: {"rate": 10.0, "errors": 0.1, "reset_every": 40},
        IDLE: {"rate": 0.0},
        SLOW: {"rate": 10.0},
    }
    times = range(now - SPAN, now + SPAN, STEP)
    requests, latency, shifts, rows = [], [], [], []
    for revision, behaviour in behaviours.items():
        pod = f'namespace="default",pod="cancer-{revision}-5d9c7-x2x4z",model="cancer"'
        for status in ("200", "500"):
            for at in times:
                value = counters(at - times[0], **behaviour)[status == "500"]
                requests.append(f'slipway_requests_total{{{pod},endpoint="v2_infer",status="{status}"}} {value} {at}')
        where = 1.0 if revision == SLOW else 0.01
        for bound in (*(str(bucket) for bucket in BUCKETS), "+Inf"):
            for at in times:
                value = sum(counters(at - times[0], **behaviour)) if float(bound) >= where else 0.0
                latency.append(f'slipway_request_duration_seconds_bucket{{{pod},endpoint="v2_infer",le="{bound}"}} {value} {at}')
        shift = 0.9 if revision == BAD else 0.02
        shifts += [f'slipway_drift_psi_max{{{pod},window="1m"}} {shift} {at}' for at in times]
        rows += [f'slipway_drift_rows{{{pod},window="1m"}} 500 {at}' for at in times]
    lines = ["# TYPE slipway_requests counter", *requests]
    lines += ["# TYPE slipway_request_duration_seconds_bucket unknown", *latency]
    lines += ["# TYPE slipway_drift_psi_max gauge", *shifts, "# TYPE slipway_drift_rows gauge", *rows]
    return "\n".join((*lines, "# EOF", ""))


@contextmanager
def prometheus(folder: Path, scrape: str = "") -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """URL and process of a Prometheus over the blocks of `folder`, ready."""
    configuration = folder / "prometheus.yml"
    configuration.write_text(f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{scrape}]\n")
    log = folder / "log"
    port = free_port()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                debian_prometheus.program("prometheus"),
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ],
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/-/ready", log)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a Prometheus that knows all the pods of `page`."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "page").write_text(page(int(time.time()) // STEP * STEP))
    promtool = debian_prometheus.program("promtool")
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "page"), str(folder / "data")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with prometheus(folder) as (url, _process):
        yield url


ERRORS = {"name": "g", "errorRate": {"max": 0.05}, "window": "60s", "minRequests": 20}
LATENCY = {"name": "g", "latency": {"quantile": 0.99, "maxMilliseconds": 50}, "window": "60s"}


async def verdict(url: str, gate: dict[str, Any], revision: str) -> GateVerdict:
    """How `gate` comes out for a candidate, as the operator reads and judges it."""
    entry = {"version": 2, "digest": "sha256:" + "d" * 64, "since": "2026-11-03T12:00:00Z"}
    manifest = worlds.model_deployment(rollout={"strategy": "Canary", "steps": [{"weight": 10}], "gates": [gate]})
    manifest["metadata"] |= {"uid": "u", "generation": 1}
    manifest["status"] = {
        "observedGeneration": 1,
        "stable": {**entry, "revision": STABLE, "version": 1},
        "candidate": {**entry, "revision": revision, "weight": 10, "step": 0},
    }
    deployment = ModelDeployment.parse(manifest)
    scraper, now = HttpScraper(url), datetime.now(UTC)
    world = World({}, worlds.SETTINGS.model_copy(update={"prometheus_url": url}))
    world.scraper = scraper  # type: ignore[assignment]
    try:
        found = await readings(world.deps(), deployment, now)
    finally:
        await scraper.close()
    assert found is not None
    return judge(RolloutGate.model_validate(gate), found, None, now)


COMPARED = {**ERRORS, "errorRate": {}, "compare": {"maxDifference": 0.02}}


@pytest.mark.parametrize(
    ("gate", "revision", "outcome"),
    [
        (ERRORS, GOOD, "Pass"),
        (ERRORS, BAD, "Fail"),
        (COMPARED, GOOD, "Pass"),
        (COMPARED, BAD, "Fail"),
        (LATENCY, GOOD, "Pass"),
        (LATENCY, SLOW, "Fail"),
        ({"name": "g", "drift": {"maxPSI": 0.2}, "window": "60s"}, GOOD, "Pass"),
        ({"name": "g", "drift": {"maxPSI": 0.2}, "window": "60s"}, BAD, "Fail"),
        ({"name": "g", "promql": {"query": 'max(slipway_drift_psi_max{pod=~"cancer-$revision-.*"})', "max": 0.2}}, BAD, "Fail"),
        ({"name": "g", "promql": {"query": "sum(nothing_of_that_name)", "max": 0.2}}, BAD, "NoData"),
        ({"name": "g", "promql": {"query": "sum(", "max": 0.2}}, BAD, "NoData"),
        (ERRORS, IDLE, "NoData"),
        (LATENCY, IDLE, "NoData"),
        (ERRORS, SILENT, "NoData"),
        (LATENCY, SILENT, "NoData"),
        (COMPARED, SILENT, "NoData"),
        ({**ERRORS, "minRequests": 100000}, BAD, "NoData"),
    ],
)
async def test_verdicts(known: str, gate: dict[str, Any], revision: str, outcome: str) -> None:
    found = await verdict(known, gate, revision)
    assert found.verdict == outcome, found.message


async def test_counters_that_reset_are_no_negative_and_no_huge_numbers(known: str) -> None:
    found = await verdict(known, {**ERRORS, "errorRate": {"max": 0.15}}, RESET)
    assert found.verdict == "Pass", found.message
    assert 0.08 < float(found.value or "nan") < 0.12
    assert 300 < (found.requests or 0) < 700, "60 s of ten requests a second"
    assert (await verdict(known, {**ERRORS, "errorRate": {"max": 0.05}}, RESET)).verdict == "Fail"


async def test_the_rate_that_keda_asks_for_is_that_of_the_stable_revision(known: str) -> None:
    scraper = HttpScraper(known)
    rate, problem = await scraper.query(request_rate("default", f"cancer-{STABLE}"))
    nothing, _ = await scraper.query(request_rate("default", f"cancer-{SILENT}"))
    await scraper.close()
    assert rate == pytest.approx(10.0, rel=0.05), problem
    assert nothing is None, "no pod is no data, and not no request"


async def test_a_prometheus_that_goes_down_is_no_data_and_says_so(tmp_path: Path) -> None:
    with prometheus(tmp_path) as (url, process):
        assert (await verdict(url, ERRORS, GOOD)).message == "the query gives no number"
        process.kill()
        process.wait(30)
        found = await verdict(url, ERRORS, GOOD)
    assert found.verdict == "NoData"
    assert "Prometheus does not answer" in found.message


@asynccontextmanager
async def pods() -> AsyncIterator[tuple[str, dict[str, bool]]]:
    """A page of metrics at /good, whose counter grows; at /bad the same while ``answers["bad"]`` says so, else 500."""
    asked, answers = {"good": 0, "bad": 0}, {"bad": False}

    async def metrics(request: web.Request) -> web.Response:
        name = request.path.strip("/")
        asked[name] += 1
        if name == "bad" and not answers["bad"]:
            return web.Response(status=500)
        lines = (
            "# TYPE slipway_requests_total counter",
            f'slipway_requests_total{{endpoint="v2_infer",status="200"}} {asked[name] * 50}',
        )
        return web.Response(text="\n".join((*lines, "")))

    app = web.Application()
    app.router.add_get("/{name:good|bad}", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}", answers
    finally:
        await runner.cleanup()


async def test_a_pod_that_cannot_be_scraped_is_no_data_and_heals(tmp_path: Path) -> None:
    async with pods() as (address, answers):
        job = "{{job_name: {0}, metrics_path: /{0}, static_configs: [{{targets: ['{1}'], labels: {{namespace: default, pod: cancer-{2}-5d9c7-x2x4z}}}}]}}"
        scrape = ", ".join(job.format(name, address, revision) for name, revision in (("good", GOOD), ("bad", BAD)))
        gate = {**ERRORS, "window": "10s"}
        started = prometheus(tmp_path, scrape)
        url, _process = await asyncio.to_thread(started.__enter__)
        try:
            assert (await until(url, gate, GOOD, "Pass")).requests
            assert (await verdict(url, gate, BAD)).verdict == "NoData"
            answers["bad"] = True
            await until(url, gate, BAD, "Pass")
        finally:
            started.__exit__(None, None, None)


async def until(url: str, gate: dict[str, Any], revision: str, outcome: str) -> GateVerdict:
    async with asyncio.timeout(120):
        while (found := await verdict(url, gate, revision)).verdict != outcome:  # noqa: ASYNC110  it is polled
            await asyncio.sleep(0.2)
    return found
