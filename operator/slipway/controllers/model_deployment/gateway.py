"""The HTTPRoute of a ModelDeployment: exact weights through Gateway API, and what the gateways say of it. Pure.

The stable revision is reached by the Service that clients inside the cluster use; a candidate by a Service of its own, whose
selector never changes, so that no gateway can mix two candidates up. It is owned by the candidate's Deployment and goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from slipway.api import conditions
from slipway.api.common import LABEL_REVISION
from slipway.api.model_deployment import ModelDeployment
from slipway.api.traffic import Gateway, ParentRef
from slipway.controllers.model_deployment.children import PORT, deployment_name, service_ports
from slipway.controllers.model_deployment.observed import Missing, Observed
from slipway.controllers.model_deployment.policy import creation_time
from slipway.controllers.shared.objects import labels, metadata, selector
from slipway.kube.port import Object
from slipway.kube.resources import HTTP_ROUTE
from slipway.reconcile.contract import Deletion

PATIENCE = 30.0
"""Seconds that a gateway may take to answer for a new route before that is called missing."""
LOOK_AGAIN = 2.0
"""Seconds until the next look at a route whose gateway has not answered yet: HTTPRoutes are not watched, as their kind may be
missing."""


def gateway_of(deployment: ModelDeployment) -> Gateway | None:
    """What spec says of a gateway."""
    return deployment.spec.traffic.gateway if deployment.spec.traffic is not None else None


def wants_route(deployment: ModelDeployment) -> bool:
    """Whether there shall be a route, or whether the spec is new, so that one may be left over."""
    seen = deployment.status is not None and deployment.status.observed_generation == deployment.metadata.generation
    return not seen or gateway_of(deployment) is not None


@dataclass(frozen=True)
class Route:
    """What is in force. `problem`: why the gateways do not split requests as it says. `weights` by the name of a backend's
    Service; empty while no gateway has taken the newest version of the route."""

    problem: Missing | None = None
    weights: Mapping[str, int] = field(default_factory=dict)
    look_again: float | None = None


def route_of(observed: Observed, now: datetime) -> Route | None:
    """What the gateways say; None when spec names none."""
    gateway = gateway_of(observed.deployment)
    if gateway is None:
        return None
    if observed.unroutable is not None:
        return Route(observed.unroutable)
    live = observed.route
    if live is None:
        return Route(Missing(conditions.ROUTE_PENDING, "the HTTPRoute is about to be written"), look_again=LOOK_AGAIN)
    namespace = observed.deployment.metadata.namespace
    silent = [ref for ref in gateway.parent_refs if _answer(live, ref, namespace) is None]
    if silent:
        return _silent(silent[0], namespace, live, now)
    answers = [_answer(live, ref, namespace) or {} for ref in gateway.parent_refs]
    for ref, answer in zip(gateway.parent_refs, answers, strict=True):
        for kind in ("Accepted", "ResolvedRefs"):
            found = _condition(answer, kind)
            if found.get("status") == "False":
                words = f"Gateway {_where(ref, namespace)}: {found.get('reason', kind)}: {found.get('message', '')}"
                return Route(
                    Missing(conditions.ROUTE_REFUSED, words[:1000]), look_again=LOOK_AGAIN if _is_old(answer, live) else None
                )
    if any(_condition(answer, "Accepted").get("status") != "True" for answer in answers):
        return _silent(gateway.parent_refs[0], namespace, live, now)
    if any(_is_old(answer, live) for answer in answers):
        return Route(look_again=LOOK_AGAIN)
    return Route(weights=_weights(live))


def _silent(ref: ParentRef, namespace: str, live: Object, now: datetime) -> Route:
    made = creation_time(live)
    where = _where(ref, namespace)
    if made is not None and (now - made).total_seconds() < PATIENCE:
        return Route(
            Missing(conditions.ROUTE_PENDING, f"Gateway {where} has not answered for the HTTPRoute yet"), look_again=LOOK_AGAIN
        )
    words = f"no gateway answers for the HTTPRoute: is there a Gateway {where}, and does its controller run?"
    return Route(Missing(conditions.GATEWAY_MISSING, words))


def _where(ref: ParentRef, namespace: str) -> str:
    section = f", listener {ref.section_name}" if ref.section_name else ""
    return f"{ref.namespace or namespace}/{ref.name}{section}"


def _answer(live: Object, ref: ParentRef, namespace: str) -> Object | None:
    """The entry of the route's status about a parent."""
    for entry in live.get("status", {}).get("parents") or ():
        about = entry.get("parentRef", {})
        same_place = about.get("namespace", namespace) == (ref.namespace or namespace)
        same_part = about.get("sectionName") == ref.section_name and about.get("port") == ref.port
        if about.get("name") == ref.name and same_place and same_part:
            found: Object = entry
            return found
    return None


def _condition(answer: Object, kind: str) -> Object:
    return next((entry for entry in answer.get("conditions") or () if entry.get("type") == kind), {})


def _is_old(answer: Object, live: Object) -> bool:
    """Whether the answer is about an earlier version of the route. One that names no version is taken for the newest."""
    generation = live["metadata"].get("generation", 0)
    return any(0 < entry.get("observedGeneration", 0) < generation for entry in answer.get("conditions") or ())


def _weights(live: Object) -> dict[str, int]:
    rules: list[Object] = live.get("spec", {}).get("rules") or [{}]
    return {backend["name"]: int(backend.get("weight", 1)) for backend in rules[0].get("backendRefs") or ()}


def candidate_service(observed: Observed, revision: str, deployment: Object) -> Object:
    """The Service of a candidate alone; `deployment` is its live Deployment, with which it goes."""
    resource = observed.deployment
    meta = metadata(resource, deployment_name(observed, revision), labels(resource, "serving", {LABEL_REVISION: revision}))
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": deployment["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**meta, "ownerReferences": [owner]},
        "spec": {
            "type": "ClusterIP",
            "selector": selector(resource) | {LABEL_REVISION: revision},
            "ports": service_ports(resource.spec),
        },
    }


def http_route(observed: Observed, gateway: Gateway, candidate: str | None, weight: int) -> Object:
    """The route. `candidate` is named with a weight of 0 too: gateways then know its pods before the first request."""
    resource = observed.deployment
    backends = [_backend(resource.metadata.name, 100 - weight)]
    if candidate is not None:
        backends.append(_backend(deployment_name(observed, candidate), weight))
    return {
        "apiVersion": HTTP_ROUTE.api_version,
        "kind": HTTP_ROUTE.kind,
        "metadata": metadata(resource, resource.metadata.name, labels(resource, "serving")),
        "spec": {
            "parentRefs": [ref.to_dict() for ref in gateway.parent_refs],
            **({"hostnames": list(gateway.hostnames)} if gateway.hostnames else {}),
            "rules": [{"backendRefs": backends}],
        },
    }


def _backend(name: str, weight: int) -> Object:
    return {"kind": "Service", "name": name, "port": PORT, "weight": weight}


def left_over_route(observed: Observed) -> tuple[Deletion, ...]:
    """The route, when spec asks for none any more."""
    if observed.route is None or gateway_of(observed.deployment) is not None:
        return ()
    meta = observed.route["metadata"]
    return (Deletion(HTTP_ROUTE, meta["namespace"], meta["name"], meta["uid"]),)
