"""Small decisions about revisions and their Deployments. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from slipway.api.common import LABEL_REVISION
from slipway.api.model_deployment import ModelDeployment, ModelDeploymentSpec
from slipway.controllers.shared.attempts import parse_time
from slipway.controllers.shared.pods import container_trouble, trouble
from slipway.kube.port import Object
from slipway.registry.records import digest_of

REVISION_DIGITS = 16


def may_read(reader: str, owner: str, grants: Iterable[tuple[str, str]]) -> bool:
    """Whether namespace `reader` may serve the models of `owner`. `grants` as (from, to); ``*`` stands for any."""
    return reader == owner or any(a in (reader, "*") and b in (owner, "*") for a, b in grants)


def rolls_out(deployment: ModelDeployment, digest: str) -> bool:
    """Whether bytes with the root digest `digest` would be new here: what serves already was checked before it did."""
    stable = deployment.status.stable if deployment.status else None
    return stable is None or stable.digest != digest


def revision_name(digest: str, image: str, spec: ModelDeploymentSpec) -> str:
    """Digest of the model's bytes, the image, and what of spec ends up in a pod. Replicas and deadlines do not; nor does
    anything of the operator's own, so that an upgrade of it restarts no pod."""
    made_of: dict[str, Any] = {"model": digest, "image": image, "resources": spec.resources, "podTemplate": spec.pod_template}
    # not named while they are off: revisions from before they were there keep their names
    if spec.grpc:
        made_of["grpc"] = True
    if spec.online_store is not None:
        made_of["onlineStore"] = spec.online_store.model_dump(mode="json", by_alias=True, exclude_none=True)
    return digest_of(made_of).removeprefix("sha256:")[:REVISION_DIGITS]


def held_revision(deployment: ModelDeployment) -> str | None:
    """The revision that was given up, for as long as spec is the one that it was given up under: a new spec is a new try."""
    status = deployment.status
    if status is None or status.held is None or status.observed_generation != deployment.metadata.generation:
        return None
    return status.held.revision


def revision_of(child: Object) -> str:
    labels: dict[str, str] = child["metadata"].get("labels", {})
    return labels.get(LABEL_REVISION, "")


def ready_replicas(child: Object) -> int:
    """Pods that answer, as the Deployment controller counts them; those of an older pod template do not count."""
    status = child.get("status", {})
    if status.get("observedGeneration", 0) < child["metadata"].get("generation", 0):
        return 0
    return int(min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0)))


def is_ready(child: Object, wanted: int | None = None) -> bool:
    """Whether all pods that the Deployment asks for are there and answer; with `wanted`, at least so many."""
    asked = int(child.get("spec", {}).get("replicas", 1))
    return ready_replicas(child) >= asked if wanted is None else asked >= wanted and ready_replicas(child) >= wanted


def is_gone(child: Object) -> bool:
    """Whether the Deployment asks for no pods, and has none any more."""
    status = child.get("status", {})
    seen = status.get("observedGeneration", 0) >= child["metadata"].get("generation", 0)
    return int(child.get("spec", {}).get("replicas", 1)) == 0 and seen and not status.get("replicas")


def gave_up(child: Object) -> bool:
    """Whether Kubernetes says that the Deployment makes no progress (progressDeadlineSeconds). It says so of the first start only."""
    return _condition(child, "Progressing").get("status") == "False"


def broke_down(child: Object, now: datetime) -> bool:
    """Whether a Deployment that was ready once has lacked ready pods for progressDeadlineSeconds, of which Kubernetes says nothing."""
    available = _condition(child, "Available")
    since = available.get("lastTransitionTime")
    was_ready = _condition(child, "Progressing").get("reason") == "NewReplicaSetAvailable"
    if not was_ready or not since or available.get("status") != "False":
        return False
    limit = int(child["spec"].get("progressDeadlineSeconds", 600))
    return (now - parse_time(since)).total_seconds() >= limit


_BY_OTHERS = frozenset({0, 137, 143, 255})
"""Exit codes of containers that somebody ended: a deletion, a probe, a node that restarted (of which containerd says 255)."""


def broke_off(pods: Iterable[Object], since: datetime | None) -> str | None:
    """What ended a container by its own doing since then, though it be ready again: it ran out of memory, or crashed. Requests that
    it had at that time are lost, and its counters begin anew, so that gates see nothing of it."""
    if since is None:
        return None
    for pod in pods:
        leaves = pod.get("metadata", {}).get("deletionTimestamp")
        for state in () if leaves else pod.get("status", {}).get("containerStatuses", ()):
            ends = [state.get(when, {}).get("terminated") for when in ("state", "lastState")]
            if any(end and _own_end(end) and _at(end) >= since for end in ends) and (found := container_trouble(state)):
                return found.message
    return None


def _own_end(end: dict[str, Any]) -> bool:
    return end.get("reason") == "OOMKilled" or end.get("exitCode", 0) not in _BY_OTHERS


def _at(end: dict[str, Any]) -> datetime:
    text = end.get("finishedAt")
    return parse_time(text) if text else datetime.min.replace(tzinfo=UTC)


def _answers(pod: Object) -> bool:
    states = pod.get("status", {}).get("containerStatuses", ())
    return bool(states) and all(state.get("ready") for state in states)


def _condition(child: Object, kind: str) -> dict[str, Any]:
    found: Iterable[dict[str, Any]] = child.get("status", {}).get("conditions", ())
    return next((condition for condition in found if condition.get("type") == kind), {})


def creation_time(child: Object) -> datetime | None:
    text = child["metadata"].get("creationTimestamp")
    return parse_time(text) if text else None


def cause(child: Object, pods: Iterable[Object]) -> str:
    """Why a Deployment is not ready, as far as its pods or its own conditions say; empty when it is only slow."""
    found = trouble(pod for pod in pods if not _answers(pod))
    if found:
        return found.message
    refused: list[dict[str, Any]] = [
        condition
        for condition in child.get("status", {}).get("conditions", ())
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]
    return f"pods cannot be made: {refused[0].get('message', '')}" if refused else ""
