"""What a ModelDeployment's reconcile knows, as one value: written by observe, read by the steps after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slipway.api.model_deployment import ModelDeployment
from slipway.controllers.model_deployment.gates import Readings
from slipway.controllers.model_deployment.past import Past
from slipway.controllers.shared.pods import PodSettings
from slipway.kube.port import Object
from slipway.provenance.policy import Policy
from slipway.registry.records import VersionRecord


@dataclass(frozen=True)
class NodeCache:
    """A folder of each node for downloads, of at most `size` (a quantity) in each namespace. `namespaces`: those whose pods may
    mount it; ``*`` is all."""

    path: str
    size: str
    namespaces: tuple[str, ...]

    def is_for(self, namespace: str) -> bool:
        return "*" in self.namespaces or namespace in self.namespaces


@dataclass(frozen=True)
class Installation:
    """What the operator's settings say about serving."""

    pods: PodSettings
    serving_image: str
    service_account: str
    trusted_types: tuple[str, ...]
    verification: Policy = Policy.OFF
    public_keys: str = ""
    node_cache: NodeCache | None = None
    prometheus_url: str = ""


@dataclass(frozen=True)
class Missing:
    """Something that spec refers to and that is not there, or may not be used. The stable revision serves on."""

    reason: str
    message: str


@dataclass(frozen=True)
class Observed:
    """The resource and the world around it, at one time."""

    deployment: ModelDeployment
    installation: Installation
    version: VersionRecord | None = None
    """The version that spec asks for now."""
    image: str | None = None
    """The image that spec asks for now."""
    entrypoint: str | None = None
    missing: Missing | None = None
    deployments: tuple[Object, ...] = ()
    service: Object | None = None
    helpers: tuple[Object, ...] = ()
    """The autoscaler and the PodDisruptionBudget, where they are needed or may be left over."""
    keda: bool = False
    """Whether KEDA is there to scale by the requests that Prometheus counts."""
    route: Object | None = None
    """The HTTPRoute, where one is needed or may be left over."""
    unroutable: Missing | None = None
    """Why there can be no HTTPRoute, when spec asks for one."""
    pods: Mapping[str, tuple[Object, ...]] = field(default_factory=dict)
    """Pods by revision, of revisions that are not ready, and of one that has to prove itself."""
    copying: tuple[str, ...] = ()
    """URLs of the stable revision's pods, while they copy requests to a candidate."""
    unreachable: str | None = None
    """Why the store does not say what spec asks for, while a roll-out is looked at: what is running is judged all the same."""
    past: Past | None = None
    """What the registry knows of before, when status does not."""
    readings: Readings | None = None
    """What the pods measured, when gates are due to be looked at."""
