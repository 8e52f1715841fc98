"""A roll-out with real pods and real requests: examples/05-rollback, as its page tells it. (04-canary: test_argocd.py.)"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml

from local.demo.kubectl import Object, is_ready
from local.demo.predictions import first_answer, service_url
from tests.e2e.support import Chain, poll

pytestmark = pytest.mark.alone

EXAMPLES = Path(__file__).parents[2] / "examples"
CLIENTS = 16
BODY = {"inputs": [{"name": "input", "shape": [1, 3], "datatype": "FP32", "data": [0.1, 0.2, 0.3]}]}


@dataclass
class Requests:
    """Requests at a steady rate, each on a connection of its own: when each was answered, how, and by which version. A machine
    that cannot keep up sends fewer of them, and none late."""

    url: str
    model: str
    per_second: float
    answers: list[tuple[float, int]] = field(default_factory=list)
    versions: list[tuple[float, str]] = field(default_factory=list)
    _slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(CLIENTS))
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            due = time.monotonic()
            while not self._stop.is_set():
                if self._slots.acquire(blocking=False):
                    pool.submit(self._ask)
                due += 1 / self.per_second
                time.sleep(max(0.0, due - time.monotonic()))

    def _ask(self) -> None:
        try:
            answer = httpx.post(f"{self.url}/v2/models/{self.model}/infer", json=BODY, timeout=10)
            status = answer.status_code
            if status == 200:
                self.versions.append((time.monotonic(), str(answer.json().get("model_version"))))
        except httpx.HTTPError:
            status = 0
        finally:
            self._slots.release()
        self.answers.append((time.monotonic(), status))

    def stop(self) -> None:
        self._stop.set()

    def failed(self, since: float = 0.0) -> list[float]:
        return sorted(at for at, status in self.answers if status != 200 and at >= since)

    def last_of(self, version: str) -> float:
        """When `version` answered last."""
        return max(at for at, by in self.versions if by == version)

    def sent(self, since: float, until: float) -> int:
        return sum(since <= at <= until for at, _ in self.answers)


@contextmanager
def requests(chain: Chain, name: str, per_second: float) -> Iterator[Requests]:
    with service_url(chain.cluster, name, chain.namespace) as url:
        first_answer(url, name)
        made = Requests(url, name, per_second)
        thread = threading.Thread(target=made.run)
        thread.start()
        try:
            yield made
        finally:
            made.stop()
            thread.join()


def apply(chain: Chain, folder: str) -> None:
    text = chain.cluster.kubectl("kustomize", str(EXAMPLES / folder))
    for manifest in yaml.safe_load_all(text):
        chain.apply(manifest)


def train(chain: Chain, name: str, **params: float) -> None:
    """A new version, as the pages have it."""
    patch = yaml.safe_dump({"spec": {"trainer": {"params": params}}})
    chain.cluster.kubectl("patch", "modelbuild", name, "-n", chain.namespace, "--type=merge", "-p", patch)


def serves(version: int):
    def holds(found: Object) -> bool:
        return is_ready(found) and found["status"]["stable"]["version"] == version

    return holds


def gave_up(version: int):
    def holds(found: Object) -> bool:
        status = found.get("status", {})
        return status.get("held", {}).get("version") == version and "candidate" not in status

    return holds


def test_rollback_to_warm_pods_takes_seconds_and_no_request(chain: Chain) -> None:
    apply(chain, "05-rollback")
    chain.until("modeldeployment", "rollback", serves(1))
    with requests(chain, "rollback", 100.0) as sent:
        train(chain, "rollback", C=2.0)
        chain.until("modeldeployment", "rollback", serves(2))
        before = chain.get("modeldeployment", "rollback")
        assert before is not None
        first = before["status"]["history"][0]["revision"]
        started = time.monotonic()
        patch = yaml.safe_dump({"spec": {"model": {"name": "rollback", "version": 1, "alias": None}}})
        chain.cluster.kubectl("patch", "modeldeployment", "rollback", "-n", chain.namespace, "--type=merge", "-p", patch)
        poll("the Service selects the first revision", lambda: selects(chain, "rollback") == first, seconds=30)
        time.sleep(5)
        took = sent.last_of("2") - started
        assert sent.failed() == []
        print(f"back in {took:.1f} s, {len(sent.answers)} requests, none failed")
        assert took <= 5.0
        # by itself
        patch = yaml.safe_dump({"spec": {"model": {"name": "rollback", "version": None, "alias": "champion"}}})
        chain.cluster.kubectl("patch", "modeldeployment", "rollback", "-n", chain.namespace, "--type=merge", "-p", patch)
        chain.until("modeldeployment", "rollback", serves(2))
        train(chain, "rollback", columns=4)
        found = chain.until("modeldeployment", "rollback", gave_up(3))
        assert found["status"]["stable"]["version"] == 2
        assert found["status"]["history"][0]["reason"] == "GateFailed"
        healed = time.monotonic()
        time.sleep(5)
        assert sent.failed(since=healed + 2.0) == []


def selects(chain: Chain, name: str) -> str:
    service = chain.get("service", name)
    assert service is not None
    return str(service["spec"]["selector"].get("slipway.dev/revision", ""))
