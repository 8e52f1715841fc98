"""The cluster's own controllers in small: Jobs run pods, Deployments keep pods, garbage is collected; all by script.

`step` moves everything on by one state, so that a test sees each of them. What is done here is neither counted nor
disturbed by the fake API server's faults.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.kube.port import Object
from tests.fakes.api_server import FakeApiServer
from tests.fakes.gateway import RouteScript, accept


@dataclass(frozen=True)
class Running:
    """The pod goes on running."""


@dataclass(frozen=True)
class Waiting:
    """A container cannot start: ``ImagePullBackOff``, ``CreateContainerConfigError`` …"""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Ended:
    """The pod ends. `work` runs before, in the pod's place, and writes what the pod would have written. `container`
    is the one that ended with `exit_code` (default: the main one); `message` is its termination message, `log` its
    log."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log: bytes = b""
    container: str = ""
    work: Callable[[Object], None] | None = None


@dataclass(frozen=True)
class Serving:
    """The pods of a Deployment: how many of the wanted are ready (None: all), and why the others are not."""

    ready: int | None = None
    waiting: Waiting | None = None
    restarts: int = 0
    message: str = ""
    """Termination message of the last restart."""
    last: Object | None = None
    """How the containers ended before, of pods that are ready again: as `lastState.terminated` has it."""


JobScript = Callable[[Object], Running | Waiting | Ended]
"""Given the Job, what its pod does next."""
DeploymentScript = Callable[[Object], Serving]


def succeed(_job: Object) -> Ended:
    return Ended()


def serve(_deployment: Object) -> Serving:
    return Serving()


class SimCluster:
    """`jobs` and `deployments` are the scripts; a test may change them at any time."""

    def __init__(self, api: FakeApiServer, *, jobs: JobScript = succeed, deployments: DeploymentScript = serve) -> None:
        self.api = api
        self.jobs = jobs
        self.deployments = deployments
        self.routes: RouteScript = accept

    def step(self) -> bool:
        """Moves everything on by one state; says whether anything changed."""
        before = self.api.revision
        self.api.collect_garbage()
        for job in self.api.all("Job"):
            self._job(job)
        for deployment in self.api.all("Deployment"):
            self._deployment(deployment)
        for route in self.api.all("HTTPRoute"):
            if (status := self.routes(route)) is not None:
                self._set_status(route, status)
        return self.api.revision != before

    def settle(self, limit: int = 50) -> None:
        """Steps until nothing changes any more."""
        for _ in range(limit):
            if not self.step():
                return
        raise AssertionError(f"the cluster does not come to rest within {limit} steps")

    # ---- Jobs ----

    def _job(self, job: Object) -> None:
        status = job.get("status", {})
        finished = any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in status.get("conditions", ()))
        if finished or job["spec"].get("suspend") or "deletionTimestamp" in job["metadata"]:
            self._expire(job)
            return
        if "startTime" not in status:
            self._set_status(job, {"startTime": self.api.clock.text(), "active": 1, "ready": 0})
            self._make_pod(job, job["spec"]["template"], self._pod_name(job), "Running")
            return
        deadline = job["spec"].get("activeDeadlineSeconds")
        if deadline is not None and _since(self.api, status["startTime"]) >= deadline:
            self._remove_pods(job)
            words = "Job was active longer than specified deadline"
            self._finish(job, "Failed", "DeadlineExceeded", words)
            return
        pod = self.api.peek("Pod", job["metadata"]["namespace"], self._pod_name(job))
        if pod is None:
            self._finish(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
            return
        match self.jobs(job):
            case Waiting(reason, message):
                self._set_pod(pod, "Pending", [_waiting(c, reason, message) for c in _names(pod)])
            case Ended() as end:
                self._end(job, pod, end)
            case Running():
                pass

    def _end(self, job: Object, pod: Object, end: Ended) -> None:
        if end.work is not None:
            end.work(job)
        init = [c["name"] for c in pod["spec"].get("initContainers", ())]
        culprit = end.container or _names(pod)[-1]
        reason = end.reason or ("Completed" if end.exit_code == 0 else "Error")
        if end.log:
            self.api.logs[job["metadata"]["namespace"], pod["metadata"]["name"], culprit] = end.log
        statuses: list[dict[str, Any]] = []
        init_statuses: list[dict[str, Any]] = []
        reached = False
        for name in (*init, *_names(pod)):
            state = _ended(name, end.exit_code, reason, end.message) if name == culprit else _ended(name, 0, "Completed")
            if reached and end.exit_code:
                state = _waiting(name, "PodInitializing", "")
            reached = reached or name == culprit
            (init_statuses if name in init else statuses).append(state)
        self._set_pod(pod, "Failed" if end.exit_code else "Succeeded", statuses, init_statuses)
        if not end.exit_code:
            self._finish(job, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
            return
        failed = job.get("status", {}).get("failed", 0) + 1
        job = self._set_status(job, {**job.get("status", {}), "failed": failed})
        if failed > job["spec"].get("backoffLimit", 6):
            self._finish(job, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        else:
            self._make_pod(job, job["spec"]["template"], self._pod_name(job), "Running")

    def _finish(self, job: Object, kind: str, reason: str, message: str) -> None:
        now = self.api.clock.text()
        old = job.get("status", {})
        status = {key: value for key, value in old.items() if key not in ("active", "ready")}
        status["conditions"] = [{"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}]
        if kind == "Complete":
            status |= {"succeeded": 1, "completionTime": now}
        else:
            status["failed"] = max(1, status.get("failed", 0))
        self._set_status(job, status)

    def _expire(self, job: Object) -> None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        ended = [c["lastTransitionTime"] for c in job.get("status", {}).get("conditions", ())]
        if ttl is not None and ended and _since(self.api, ended[0]) >= ttl:
            self.api.remove("Job", job["metadata"]["namespace"], job["metadata"]["name"])

    def _pod_name(self, job: Object) -> str:
        tries = job.get("status", {}).get("failed", 0)
        seed = f"{job['metadata']['name']}/{tries}"
        return f"{job['metadata']['name'][:57]}-{hashlib.sha256(seed.encode()).hexdigest()[:5]}"

    # ---- Deployments ----

    def _deployment(self, deployment: Object) -> None:
        if "deletionTimestamp" in deployment["metadata"]:
            return
        spec, metadata = deployment["spec"], deployment["metadata"]
        template = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        wanted = [f"{metadata['name'][:46]}-{template}-{n}" for n in range(spec.get("replicas", 1))]
        plan = self.deployments(deployment)
        ready = len(wanted) if plan.ready is None else min(plan.ready, len(wanted))
        present = {pod["metadata"]["name"]: pod for pod in self._pods(deployment)}
        for name in set(present) - set(wanted):
            self.api.remove("Pod", metadata["namespace"], name)
        for number, name in enumerate(wanted):
            if name not in present:
                self._make_pod(deployment, spec["template"], name, "Pending")
                continue
            statuses = [_serving(c, number < ready, plan) for c in _names(present[name])]
            self._set_pod(present[name], "Running", statuses)
        ready_now = sum(1 for name in wanted[:ready] if name in present)
        self._set_deployment_status(deployment, len(wanted), ready_now)

    def _set_deployment_status(self, deployment: Object, wanted: int, ready: int) -> None:
        old = deployment.get("status", {})
        generation = deployment["metadata"]["generation"]
        started = old.get("conditions", [{}])[0].get("lastUpdateTime", self.api.clock.text())
        if old.get("observedGeneration") != generation:
            started = self.api.clock.text()
        limit = deployment["spec"].get("progressDeadlineSeconds", 600)
        before = {condition["type"]: condition for condition in old.get("conditions", ())}
        # As the real controller: once all pods were ready, it never again says that there is no progress.
        complete = ready >= wanted or before.get("Progressing", {}).get("reason") == "NewReplicaSetAvailable"
        late = not complete and _since(self.api, started) >= limit
        progress = ("True", "NewReplicaSetAvailable") if complete else ("True", "ReplicaSetUpdated")
        if late:
            progress = ("False", "ProgressDeadlineExceeded")
        available = ("True", "MinimumReplicasAvailable") if ready >= wanted else ("False", "MinimumReplicasUnavailable")
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "lastUpdateTime": started,
                "lastTransitionTime": before[kind]["lastTransitionTime"]
                if before.get(kind, {}).get("status") == status
                else self.api.clock.text(),
            }
            for kind, (status, reason) in (("Progressing", progress), ("Available", available))
        ]
        counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
        counts["unavailableReplicas"] = wanted - ready
        status = {key: value for key, value in counts.items() if value}
        self._set_status(deployment, {"observedGeneration": generation, "conditions": conditions, **status})

    # ---- pods ----

    def _pods(self, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            pod
            for pod in self.api.all("Pod")
            if any(reference["uid"] == uid for reference in pod["metadata"].get("ownerReferences", ()))
        ]

    def _remove_pods(self, owner: Object) -> None:
        for pod in self._pods(owner):
            self.api.remove("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _make_pod(self, owner: Object, template: Object, name: str, phase: str) -> None:
        metadata = owner["metadata"]
        if self.api.peek("Pod", metadata["namespace"], name) is not None:
            return
        reference = {key: owner[key] for key in ("apiVersion", "kind")} | {
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        own = template.get("metadata", {})
        self.api.make(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": metadata["namespace"],
                    "labels": dict(own.get("labels", {})),
                    "annotations": dict(own.get("annotations", {})),
                    "ownerReferences": [reference],
                },
                "spec": template["spec"],
                "status": {"phase": phase, "startTime": self.api.clock.text(), "podIP": _address(name)},
            }
        )

    def _set_pod(self, pod: Object, phase: str, statuses: list[dict[str, Any]], init: list[dict[str, Any]] | None = None) -> None:
        ready = bool(statuses) and all(status.get("ready") for status in statuses)
        status = {
            **pod.get("status", {}),
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": statuses,
        }
        if init:
            status["initContainerStatuses"] = init
        self._set_status(pod, status)

    def _set_status(self, obj: Object, status: Object) -> Object:
        def change(target: Object) -> None:
            target["status"] = status

        metadata = obj["metadata"]
        return self.api.edit(obj["kind"], metadata["namespace"], metadata["name"], change, manager="kube", subresource="status")


def _address(name: str) -> str:
    """An address that the same name always gets."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"10.{digest[0]}.{digest[1]}.{digest[2]}"


def _names(pod: Object) -> list[str]:
    return [container["name"] for container in pod["spec"]["containers"]]


def _waiting(name: str, reason: str, message: str) -> dict[str, Any]:
    state = {"reason": reason, **({"message": message} if message else {})}
    return {"name": name, "ready": False, "restartCount": 0, "state": {"waiting": state}}


def _ended(name: str, exit_code: int, reason: str, message: str = "") -> dict[str, Any]:
    state = {"exitCode": exit_code, "reason": reason, **({"message": message} if message else {})}
    return {"name": name, "ready": False, "restartCount": 0, "state": {"terminated": state}}


def _serving(name: str, ready: bool, plan: Serving) -> dict[str, Any]:
    if ready:
        before = {"lastState": {"terminated": plan.last}} if plan.last else {}
        return {"name": name, "ready": True, "restartCount": int(plan.last is not None), "state": {"running": {}}, **before}
    status = (
        _waiting(name, plan.waiting.reason, plan.waiting.message)
        if plan.waiting
        else {
            "name": name,
            "ready": False,
            "state": {"running": {}},
        }
    )
    status["restartCount"] = plan.restarts
    if plan.restarts:
        status["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "message": plan.message}}
    return status


def _since(api: FakeApiServer, text: str) -> float:
    return (api.clock() - datetime.fromisoformat(text)).total_seconds()
