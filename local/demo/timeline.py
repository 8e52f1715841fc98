"""When each step of the chain was seen: watches on the API server, from the apply to the first answer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from local.demo.kubectl import Cluster, Object, is_ready

GROUP = "/apis/slipway.dev/v1alpha1"
COMPONENT = "app.kubernetes.io/component"
TRAINING_POD, TRAINING_STARTED, TRAINING_ENDED = "training pod made", "training container started", "training pod ended"
PROMOTED = "version registered, alias moved"
SERVING_PODS, SERVING_STARTED, SERVING_READY = "serving pods made", "serving containers started", "serving pods ready"
SWITCHED, ANSWERED = "deployment Ready", "first answer"


@dataclass(frozen=True)
class Step:
    """One piece of the way, in seconds."""

    name: str
    seconds: float


class Timeline:
    """Marks of one chain, in seconds since :meth:`begin`. What was there before is not counted.

    Used as a context: the watches end with it.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, replicas: int) -> None:
        self._cluster, self._namespace, self._name, self._replicas = cluster, namespace, name, replicas
        self._known = set(cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split())
        build = cluster.get("modelbuild", name, namespace)
        self._version_before = _version(build) if build else None
        self._marks: dict[str, float] = {}
        self._counts: dict[str, set[str]] = {}
        self._began = time.monotonic()
        self._watches: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        self._watch(f"/api/v1/namespaces/{self._namespace}/pods", self._pod)
        self._watch(f"{GROUP}/namespaces/{self._namespace}/modelbuilds", self._build)
        self._watch(f"{GROUP}/namespaces/{self._namespace}/modeldeployments", self._deployment)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for watch in self._watches:
            watch.kill()
            watch.wait()

    def begin(self) -> None:
        """Now is 0."""
        self._began = time.monotonic()

    def mark(self, name: str) -> None:
        """`name` is now; only the first time counts."""
        self._marks.setdefault(name, time.monotonic() - self._began)

    @property
    def total(self) -> float:
        """Seconds until the last mark."""
        return max(self._marks.values(), default=0.0)

    def steps(self) -> list[Step]:
        """The marks as pieces, in the order in which they were passed."""
        passed = sorted(self._marks.items(), key=lambda mark: mark[1])
        times = [0.0, *(when for _, when in passed)]
        return [Step(name, when - before) for (name, when), before in zip(passed, times, strict=False)]

    def _watch(self, path: str, seen: Callable[[Object], None]) -> None:
        watch = subprocess.Popen(
            [*self._cluster.kubectl_argv, "get", "--raw", f"{path}?watch=true"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._watches.append(watch)

        def read() -> None:
            assert watch.stdout is not None
            for line in watch.stdout:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    seen(event["object"])

        threading.Thread(target=read, daemon=True).start()

    def _pod(self, pod: Object) -> None:
        meta = pod["metadata"]
        if f"pod/{meta['name']}" in self._known or "deletionTimestamp" in meta:
            return
        component = meta.get("labels", {}).get(COMPONENT)
        states = [status.get("state", {}) for status in pod.get("status", {}).get("containerStatuses", ())]
        started = any("running" in state or "terminated" in state for state in states)
        if component == "training":
            self.mark(TRAINING_POD)
            if started:
                self.mark(TRAINING_STARTED)
            if pod["status"].get("phase") in ("Succeeded", "Failed"):
                self.mark(TRAINING_ENDED)
        if component == "serving":
            self._count(SERVING_PODS, meta["name"])
            if started:
                self._count(SERVING_STARTED, meta["name"])
            if any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ())):
                self._count(SERVING_READY, meta["name"])

    def _count(self, name: str, pod: str) -> None:
        """Marks `name` when as many pods as there are replicas came so far."""
        pods = self._counts.setdefault(name, set())
        pods.add(pod)
        if len(pods) >= self._replicas:
            self.mark(name)

    def _build(self, build: Object) -> None:
        if build["metadata"]["name"] == self._name and is_ready(build) and _version(build) != self._version_before:
            self.mark(PROMOTED)

    def _deployment(self, deployment: Object) -> None:
        if deployment["metadata"]["name"] == self._name and PROMOTED in self._marks and is_ready(deployment):
            stable = deployment["status"].get("stable") or {}
            if stable.get("version") != self._version_before:
                self.mark(SWITCHED)


def _version(build: Object) -> int | None:
    number: int | None = (build.get("status", {}).get("version") or {}).get("number")
    return number
