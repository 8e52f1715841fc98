"""How many pods there shall be, who decides that, and what keeps some of them there. Pure."""

from __future__ import annotations

from slipway.api.model_deployment import ModelDeployment
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.shared.objects import labels, metadata, selector
from slipway.kube.port import Object, Resource
from slipway.kube.resources import HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET
from slipway.reconcile.contract import Deletion

REQUESTS_PER_SECOND = "slipway_requests_per_second"
HELPERS: tuple[Resource, ...] = (HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET)


def full_replicas(deployment: ModelDeployment, stable: Object | None) -> int:
    """Pods of a revision that has all requests: by spec, or as many as the autoscaler gave the stable one."""
    scaling = deployment.spec.autoscaling
    if scaling is None:
        return deployment.spec.replicas
    present = int(stable["spec"].get("replicas", 1)) if stable is not None else scaling.min
    return min(scaling.max, max(scaling.min, present))


def is_theirs(live: Object) -> bool:
    """Whether somebody else, the autoscaler, has set spec.replicas last: then it is left out of what we apply. Who scales owns
    that one field; who applies it afterwards with force takes it over, and the entry is gone."""
    return any(entry.get("subresource") == "scale" for entry in live["metadata"].get("managedFields", ()))


def wants_helpers(deployment: ModelDeployment) -> bool:
    """Whether there shall be helpers, or whether the spec is new, so that one may be left over."""
    seen = deployment.status is not None and deployment.status.observed_generation == deployment.metadata.generation
    return not seen or bool(_kinds(deployment))


def _kinds(deployment: ModelDeployment) -> set[str]:
    spec = deployment.spec
    kinds = {HORIZONTAL_POD_AUTOSCALER.kind} if spec.autoscaling is not None else set()
    fewest = spec.autoscaling.min if spec.autoscaling is not None else spec.replicas
    return kinds | ({POD_DISRUPTION_BUDGET.kind} if fewest > 1 else set())


def helpers(observed: Observed, target: str | None) -> tuple[Object, ...]:
    """The helpers as they shall be; `target` is the Deployment of the stable revision."""
    kinds = _kinds(observed.deployment)
    made = []
    if HORIZONTAL_POD_AUTOSCALER.kind in kinds and target is not None:
        made.append(_autoscaler(observed, target))
    if POD_DISRUPTION_BUDGET.kind in kinds:
        made.append(_budget(observed))
    return tuple(made)


def left_over(observed: Observed) -> tuple[Deletion, ...]:
    """Helpers that spec asks for no more."""
    kinds = _kinds(observed.deployment)
    by_kind = {resource.kind: resource for resource in HELPERS}
    return tuple(
        Deletion(by_kind[child["kind"]], child["metadata"]["namespace"], child["metadata"]["name"], child["metadata"]["uid"])
        for child in observed.helpers
        if child["kind"] not in kinds
    )


def _autoscaler(observed: Observed, target: str) -> Object:
    scaling = observed.deployment.spec.autoscaling
    assert scaling is not None
    metrics: list[Object] = []
    if scaling.target_cpu_percent is not None:
        aim = {"type": "Utilization", "averageUtilization": scaling.target_cpu_percent}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": aim}})
    if scaling.target_requests_per_second is not None:
        aim = {"type": "AverageValue", "averageValue": str(scaling.target_requests_per_second)}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": REQUESTS_PER_SECOND}, "target": aim}})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": HORIZONTAL_POD_AUTOSCALER.kind,
        "metadata": metadata(observed.deployment, observed.deployment.metadata.name, labels(observed.deployment, "serving")),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicas": scaling.min,
            "maxReplicas": scaling.max,
            "metrics": metrics,
        },
    }


def _budget(observed: Observed) -> Object:
    """One pod at a time may be taken for a drain of its node."""
    return {
        "apiVersion": "policy/v1",
        "kind": POD_DISRUPTION_BUDGET.kind,
        "metadata": metadata(observed.deployment, observed.deployment.metadata.name, labels(observed.deployment, "serving")),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(observed.deployment)}},
    }


def spread(revision_labels: dict[str, str]) -> list[Object]:
    """Pods of a revision on different nodes and zones, as far as there are any."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": revision_labels},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
