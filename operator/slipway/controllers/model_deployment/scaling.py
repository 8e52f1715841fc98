"""How many pods there shall be, who decides that, and what keeps some of them there. Pure."""

from __future__ import annotations

from slipway.api.model_deployment import ModelDeployment
from slipway.controllers.model_deployment.observed import Observed
from slipway.controllers.model_deployment.promql import request_rate
from slipway.controllers.shared.objects import labels, metadata, selector
from slipway.kube.port import Object, Resource
from slipway.kube.resources import HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET, SCALED_OBJECT
from slipway.reconcile.contract import Deletion

REQUESTS_PER_SECOND = "slipway_requests_per_second"
HELPERS: tuple[Resource, ...] = (HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET)
SCALERS = frozenset({HORIZONTAL_POD_AUTOSCALER.kind, SCALED_OBJECT.kind})
SWITCH_SECONDS = 2.0
"""Until the next look when one autoscaler makes room for the other: two of them would fight, and KEDA refuses the second."""
POLL_SECONDS = 15


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
    return not _is_seen(deployment) or bool(_kinds(deployment))


def may_be_scaled(deployment: ModelDeployment) -> bool:
    """Whether there shall be an autoscaler, or one may be left over."""
    return not _is_seen(deployment) or deployment.spec.autoscaling is not None


def _is_seen(deployment: ModelDeployment) -> bool:
    return deployment.status is not None and deployment.status.observed_generation == deployment.metadata.generation


def _kinds(deployment: ModelDeployment, *, keda: bool = False) -> set[str]:
    spec = deployment.spec
    kinds = set()
    if spec.autoscaling is not None:
        by_requests = spec.autoscaling.target_requests_per_second is not None
        kinds = {SCALED_OBJECT.kind if keda and by_requests else HORIZONTAL_POD_AUTOSCALER.kind}
    fewest = spec.autoscaling.min if spec.autoscaling is not None else spec.replicas
    return kinds | ({POD_DISRUPTION_BUDGET.kind} if fewest > 1 else set())


def helpers(observed: Observed, target: str | None) -> tuple[Object, ...]:
    """The helpers as they shall be; `target` is the Deployment of the stable revision."""
    kinds = _kinds(observed.deployment, keda=observed.keda)
    made = []
    if target is not None and not is_switching(observed):
        if HORIZONTAL_POD_AUTOSCALER.kind in kinds:
            made.append(_autoscaler(observed, target))
        if SCALED_OBJECT.kind in kinds:
            made.append(_scaled_object(observed, target))
    if POD_DISRUPTION_BUDGET.kind in kinds:
        made.append(_budget(observed))
    return tuple(made)


def is_switching(observed: Observed) -> bool:
    """Whether there is an autoscaler of the other kind, which has to go first."""
    kinds = _kinds(observed.deployment, keda=observed.keda) & SCALERS
    others = [child for child in observed.helpers if child["kind"] in SCALERS - kinds]
    return bool(kinds) and any("deletionTimestamp" not in child["metadata"] for child in others)


def left_over(observed: Observed) -> tuple[Deletion, ...]:
    """Helpers that spec asks for no more."""
    kinds = _kinds(observed.deployment, keda=observed.keda)
    by_kind = {resource.kind: resource for resource in (*HELPERS, SCALED_OBJECT)}
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


def _scaled_object(observed: Observed, target: str) -> Object:
    """KEDA's: it makes a HorizontalPodAutoscaler of its own. Without an answer of Prometheus the number of pods stays."""
    deployment = observed.deployment
    scaling, meta = deployment.spec.autoscaling, deployment.metadata
    assert scaling is not None
    asked = {
        "serverAddress": observed.installation.prometheus_url,
        "query": request_rate(meta.namespace, target),
        "threshold": str(scaling.target_requests_per_second),
        "ignoreNullValues": "false",
    }
    triggers: list[Object] = [{"type": "prometheus", "metricType": "AverageValue", "metadata": asked}]
    if scaling.target_cpu_percent is not None:
        triggers.append({"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(scaling.target_cpu_percent)}})
    return {
        "apiVersion": SCALED_OBJECT.api_version,
        "kind": SCALED_OBJECT.kind,
        "metadata": metadata(deployment, meta.name, labels(deployment, "serving")),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "minReplicaCount": scaling.min,
            "maxReplicaCount": scaling.max,
            "pollingInterval": POLL_SECONDS,
            "triggers": triggers,
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
