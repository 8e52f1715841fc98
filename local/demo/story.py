"""The demo's chapters: install, train, serve, compare, change a parameter, roll over."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local.demo import example
from local.demo.baseline import api_writes, empty_pod, operator_metrics
from local.demo.figures import Chain, Facts
from local.demo.install import image, install_chart, make_buckets, push_images, slipway
from local.demo.kubectl import Cluster, Object, is_ready
from local.demo.predictions import Traffic, first_answer, infer, service_url
from local.demo.summary import render
from local.demo.timeline import ANSWERED, Timeline
from local.errors import LocalError
from local.info import Provider
from local.progress import Progress

NAMESPACE = "demo"
DATA_BUCKET = "data"
SECOND = {"C": 1.0}
"""The parameters that the second version is trained with."""


@dataclass
class Story:
    """One telling of the demo."""

    provider: Provider
    progress: Progress
    figures: Path | None = None
    """File that the figures are written to as JSON."""
    namespace: str = NAMESPACE
    """Where the example is applied. The chart makes the store's Secret in NAMESPACE only."""
    facts: Facts = field(default_factory=Facts)

    def tell(self) -> int:
        """Runs all chapters and prints the summary on stdout. Returns the exit status."""
        began = time.monotonic()
        cluster = Cluster(self.provider.up())
        self.facts.cluster_seconds = time.monotonic() - began
        digests = push_images(cluster, self.progress)
        make_buckets(cluster)
        install_chart(cluster, digests, (NAMESPACE,), self.progress)
        with self.progress.step("the example's data are in S3"):
            data = example.upload_data(cluster, DATA_BUCKET)
        self.facts.install_seconds = time.monotonic() - began - self.facts.cluster_seconds
        told = self._told_before(cluster)
        if not told:
            self._first_version(cluster, data, digests)
            self._second_version(cluster)
        self._compare(cluster, self._scikit_learn(cluster, data))
        self.facts.total_seconds = time.monotonic() - began
        self._collect(cluster, digests)
        if self.figures is not None:
            self.figures.write_text(self.facts.to_json())
        sys.stdout.write(render(self.facts, cluster))
        return 0

    def _told_before(self, cluster: Cluster) -> bool:
        """Whether the chain is already at its second version: then there is nothing to change, only to look at."""
        build = cluster.get("modelbuild", example.NAME, self.namespace)
        deployment = cluster.get("modeldeployment", example.NAME, self.namespace)
        if build is None or deployment is None or not (is_ready(build) and is_ready(deployment)):
            return False
        params = build["spec"]["trainer"].get("params", {})
        return all(params.get(name) == value for name, value in SECOND.items())

    def _params(self, cluster: Cluster) -> dict[str, Any]:
        build = cluster.get("modelbuild", example.NAME, self.namespace)
        assert build is not None
        params: dict[str, Any] = build["spec"]["trainer"].get("params", {})
        return params

    def _first_version(self, cluster: Cluster, data: Path, digests: dict[str, str]) -> None:
        fresh = cluster.get("modelbuild", example.NAME, self.namespace) is None
        manifests = example.manifests(cluster, self.namespace)
        chain = Chain(resources=sum(1 for m in manifests if m["apiVersion"].startswith("slipway.dev/")))
        if fresh:
            self._baseline(cluster, chain, digests)
        writes = api_writes(operator_metrics(cluster))
        with Timeline(cluster, self.namespace, example.NAME, _replicas(manifests)) as timeline:
            timeline.begin()
            with self.progress.step("examples/01-breast-cancer is applied"):
                cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=_stream(manifests))
            self._wait(cluster, "modelbuild", example.NAME, "trained, registered and promoted")
            for app in [m["metadata"]["name"] for m in manifests if m["kind"] == "AppBuild"]:
                self._wait(cluster, "appbuild", app, "built and pushed")
            self._wait(cluster, "modeldeployment", example.NAME, "serving")
            with service_url(cluster, example.NAME, self.namespace) as url:
                first_answer(url, example.NAME)
            timeline.mark(ANSWERED)
        expected = self._scikit_learn(cluster, data)
        self._compare(cluster, expected)
        if fresh:
            chain.steps, chain.total = timeline.steps(), timeline.total
            chain.api_writes = api_writes(operator_metrics(cluster)) - writes
            chain.in_training = self._timings(cluster)
            # The smaller, so that a machine that was busy at the wrong moment does not flatter us.
            chain.script = min(expected.seconds, chain.in_training.get("train", expected.seconds))
            self.facts.first = chain

    def _baseline(self, cluster: Cluster, chain: Chain, digests: dict[str, str]) -> None:
        """Pods that do nothing: once so that the node has the images, once more for their time."""
        images = [image(cluster, name, digests[name]) for name in ("training", "serving")]
        began = time.monotonic()
        with self.progress.step("the node has pulled the images"):
            for each in images:
                empty_pod(cluster, self.namespace, each)
        self.facts.pull_seconds = time.monotonic() - began
        with self.progress.step("two pods that do nothing, to compare with"):
            chain.empty_pods = sum(empty_pod(cluster, self.namespace, each) for each in images)

    def _timings(self, cluster: Cluster) -> dict[str, float]:
        """What the training container says of its own time."""
        info = cluster.info
        reference = f"{self.namespace}/{example.NAME}@champion"
        record = json.loads(
            slipway("model", "show", reference, "--registry", f"s3://{info.buckets[0]}", "-o", "json", **info.environment())
        )
        timings: dict[str, float] = record.get("timings", {})
        return timings

    def _scikit_learn(self, cluster: Cluster, data: Path) -> example.Expected:
        with self.progress.step("the same script by hand, and scikit-learn's own answers"):
            return example.scikit_learn(data, self._params(cluster))

    def _wait(self, cluster: Cluster, kind: str, name: str, what: str) -> Object:
        def changed(text: str) -> None:
            self.progress.say(f"  {kind} {name}: {text}")

        found = cluster.wait(kind, name, self.namespace, what, is_ready, seconds=300, changed=changed)
        self.progress.say(f"{kind} {name} is {what}")
        return found

    def _compare(self, cluster: Cluster, expected: example.Expected) -> None:
        """The 114 held-out rows through the Service, and through scikit-learn alone."""
        with service_url(cluster, example.NAME, self.namespace) as url, httpx.Client(timeout=30) as client:
            outputs = infer(client, url, example.NAME, expected.rows)
        wrong, distance = example.differences(expected, outputs)
        rows = len(expected.rows)
        if wrong or distance > example.TOLERANCE:
            raise LocalError(f"{wrong} of {rows} labels differ from scikit-learn's, probabilities by up to {distance:.1e}")
        right = sum(1 for a, b in zip(expected.labels, expected.truth, strict=True) if a == b)
        self.facts.rows, self.facts.distance = rows, distance
        self.facts.example_row = expected.rows[0]
        self.progress.say(
            f"{rows} held-out rows answered as by scikit-learn itself: all labels equal,"
            f" probabilities within {distance:.0e}; {right} of {rows} right"
        )
        words = [f"{name} {values[0]}" for name, values in outputs.items() if len(values) == rows]
        self.progress.say(f"  the first row's answer: {', '.join(words)}")

    def _second_version(self, cluster: Cluster) -> None:
        """Another parameter, requests all the while."""
        row, before = self.facts.example_row, self._deployment(cluster)
        with (
            service_url(cluster, example.NAME, self.namespace) as url,
            Traffic(url, example.NAME, row) as traffic,
            Timeline(cluster, self.namespace, example.NAME, before["spec"].get("replicas", 1)) as timeline,
        ):
            self.progress.say(f"requests run all the time now; trainer.params is changed to {json.dumps(SECOND)}")
            timeline.begin()
            patch = {"spec": {"trainer": {"params": SECOND}}}
            words = ("modelbuild", example.NAME, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch))
            cluster.kubectl("patch", *words)
            build = self._wait(cluster, "modelbuild", example.NAME, "trained, registered and promoted")
            wanted = build["status"]["version"]["number"]

            def holds(found: Object) -> bool:
                stable = found.get("status", {}).get("stable") or {}
                return is_ready(found) and stable.get("version") == wanted

            cluster.wait(
                "modeldeployment", example.NAME, self.namespace, f"serving version {wanted}", holds, seconds=300,
                changed=lambda text: self.progress.say(f"  modeldeployment {example.NAME}: {text}"),
            )  # fmt: skip
            self.facts.rollover_seconds, self.facts.rollover_steps = timeline.total, timeline.steps()
            self._until_retired(cluster)
        self.facts.sent, self.facts.failed, self.facts.by_version = traffic.sent, traffic.failed, traffic.versions
        if traffic.failed:
            raise LocalError(f"{len(traffic.failed)} of {traffic.sent} requests failed: {traffic.failed[0]}")
        old = before["status"]["stable"]["version"]
        self.progress.say(f"version {old} rolled over to version {wanted}: {traffic.sent} requests, none failed")

    def _until_retired(self, cluster: Cluster) -> None:
        """Requests go on until the pods of the version before are gone: their end is where requests get lost."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            words = (
                "get",
                "pods",
                "-n",
                self.namespace,
                "-l",
                f"slipway.dev/name={example.NAME},app.kubernetes.io/component=serving",
            )
            pods = json.loads(cluster.kubectl(*words, "-o", "json"))["items"]
            if len({pod["metadata"]["labels"]["slipway.dev/revision"] for pod in pods}) <= 1:
                return
            time.sleep(0.5)
        raise LocalError("pods of the version before are still there after 90 s")

    def _deployment(self, cluster: Cluster) -> Object:
        found = cluster.get("modeldeployment", example.NAME, self.namespace)
        assert found is not None
        return found

    def _collect(self, cluster: Cluster, digests: dict[str, str]) -> None:
        build = cluster.get("modelbuild", example.NAME, self.namespace)
        assert build is not None
        deployment = self._deployment(cluster)
        self.facts.history = list(reversed(build["status"].get("history", ())))
        self.facts.stable = deployment["status"]["stable"]
        self.facts.url = deployment["status"]["url"]
        self.facts.images = digests
        apps = json.loads(cluster.kubectl("get", "appbuilds", "-n", self.namespace, "-o", "json"))["items"]
        self.facts.app = apps[0]["status"] if apps else {}
        self.facts.operator_bytes = int(operator_metrics(cluster).get("process_resident_memory_bytes", 0))


def _stream(manifests: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})


def _replicas(manifests: list[Object]) -> int:
    return next(int(m["spec"].get("replicas", 1)) for m in manifests if m["kind"] == "ModelDeployment")
