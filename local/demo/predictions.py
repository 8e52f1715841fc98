"""Requests to the served model: the held-out rows compared with scikit-learn, and a steady stream while versions change."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.demo.kubectl import Cluster
from local.errors import LocalError, WaitTimeout

PAUSE_SECONDS = 0.01


@contextmanager
def service_url(cluster: Cluster, name: str, namespace: str) -> Iterator[str]:
    """A base URL under which this machine reaches a Service: by its address on the bare cluster, else through the API
    server."""
    if cluster.info.provider == "bare":
        service = cluster.get("service", name, namespace)
        if service is None:
            raise LocalError(f"there is no Service {name} in namespace {namespace}")
        yield f"http://{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"
        return
    with subprocess.Popen([*cluster.kubectl_argv, "proxy", "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            port = proxy.stdout.readline().strip().rpartition(":")[2]
            if not port.isdigit():
                raise LocalError("`kubectl proxy` did not start")
            yield f"http://127.0.0.1:{port}/api/v1/namespaces/{namespace}/services/{name}:http/proxy"
        finally:
            proxy.terminate()


def infer(client: httpx.Client, url: str, model: str, rows: list[list[float]]) -> dict[str, Any]:
    """One Open Inference Protocol request for `rows` [n, features]; outputs by name, flat."""
    body = {"inputs": [{"name": "input", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": rows}]}
    answer = client.post(f"{url}/v2/models/{model}/infer", content=json.dumps(body))
    answer.raise_for_status()
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def first_answer(url: str, model: str, *, seconds: float = 30.0) -> None:
    """Waits until a new Service answers: pods are ready a moment before every node's proxy has heard of them. Raises
    WaitTimeout."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{url}/v2/models/{model}/ready", timeout=10).raise_for_status()
            return
        except httpx.HTTPError as error:
            if time.monotonic() > deadline:
                raise WaitTimeout(f"{url} does not answer after {seconds:.0f} s: {error}") from error
        time.sleep(0.05)


@dataclass
class Traffic:
    """Requests in a loop until stopped, each on a connection of its own, so that no kept one hides a bad moment."""

    url: str
    model: str
    row: list[float]
    sent: int = 0
    failed: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Traffic:
        first_answer(self.url, self.model)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _run(self) -> None:
        body = {"inputs": [{"name": "input", "shape": [1, len(self.row)], "datatype": "FP32", "data": [self.row]}]}
        content = json.dumps(body)
        while not self._stop.is_set():
            self.sent += 1
            try:
                answer = httpx.post(f"{self.url}/v2/models/{self.model}/infer", content=content, timeout=10)
                answer.raise_for_status()
                version = str(answer.json().get("model_version", "?"))
                self.versions[version] = self.versions.get(version, 0) + 1
            except (httpx.HTTPError, ValueError) as error:
                self.failed.append(f"{time.strftime('%H:%M:%S')} {error!r}")
            self._stop.wait(PAUSE_SECONDS)
