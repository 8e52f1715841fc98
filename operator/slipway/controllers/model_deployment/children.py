"""The Deployment of a revision and the Service in front, as manifests. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import ceil

from slipway.api.common import LABEL_REVISION
from slipway.api.model_deployment import ModelDeploymentSpec
from slipway.controllers.model_deployment.observed import NodeCache, Observed
from slipway.controllers.model_deployment.online import FEATURES, online_secret, online_settings, reads_features
from slipway.controllers.model_deployment.scaling import spread
from slipway.controllers.shared.objects import child_name, labels, metadata, selector
from slipway.controllers.shared.pods import TMP, container, env, merge, pod_spec, store_env
from slipway.kube.port import Object
from slipway.provenance.policy import Policy
from slipway.registry.records import VersionRecord, canonical_json

PORT = 8080
GRPC_PORT = 9000
CACHE = "/slipway/cache"
PRE_STOP_SECONDS = 2
"""A pod that ends goes on answering so long, until every proxy has dropped it: without, one request in 200 was lost."""
GRACE_SECONDS = 30
ANNOTATION_TEMPLATE = "slipway.dev/pod-template"
"""The pod template as it was made with the revision: a newer operator with other defaults must not restart its pods."""

ANNOTATION_STABLE = "slipway.dev/stable"
"""On a Service that two revisions share: the stable one."""
ANNOTATION_HELD = "slipway.dev/held"
"""On a Service: the revision that was given up, why, and under which generation of the spec."""


def deployment_name(observed: Observed, revision: str) -> str:
    return child_name(observed.deployment.metadata.name, revision)


def new_deployment(observed: Observed, revision: str, replicas: int | None, version: VersionRecord, image: str) -> Object:
    """The Deployment of a revision that does not exist yet."""
    return _deployment(observed, revision, replicas, _template(observed, revision, version, image))


def kept_deployment(observed: Observed, live: Object, revision: str, replicas: int | None) -> Object:
    """The Deployment of a revision that exists: its pods as they were made, as many as there shall be now; None: as many as
    somebody else says."""
    frozen = live["metadata"].get("annotations", {}).get(ANNOTATION_TEMPLATE)
    template: Object = json.loads(frozen) if frozen else live["spec"]["template"]
    return _deployment(observed, revision, replicas, template)


def _deployment(observed: Observed, revision: str, replicas: int | None, template: Object) -> Object:
    resource = observed.deployment
    child_labels = labels(resource, "serving", {LABEL_REVISION: revision})
    frozen = canonical_json(template).decode()
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(resource, deployment_name(observed, revision), child_labels, {ANNOTATION_TEMPLATE: frozen}),
        "spec": {
            **({"replicas": replicas} if replicas is not None else {}),
            "progressDeadlineSeconds": resource.spec.progress_deadline_seconds,
            "revisionHistoryLimit": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": selector(resource) | {LABEL_REVISION: revision}},
            "template": template,
        },
    }


def _template(observed: Observed, revision: str, version: VersionRecord, image: str) -> Object:
    resource, installation = observed.deployment, observed.installation
    store = store_env(installation.pods)
    trusted = ["--trusted-types", ",".join(installation.trusted_types)] if installation.trusted_types else []
    verify = [f"--verify={installation.verification.value}"] if installation.verification is not Policy.OFF else []
    own = env(
        {
            "SLIPWAY_ENTRYPOINT": observed.entrypoint or "",
            "SLIPWAY_PUBLIC_KEYS": installation.public_keys if verify else "",
            **online_settings(resource.spec.online_store, version),
            # Where copies go when the strategy is Shadow: only candidates of this very resource.
            "SLIPWAY_SHADOW": f"http://{resource.metadata.name}-{{revision}}:{PORT}",
        }
    )
    # a volume of its own: the one for downloads has room for the version and no more
    copy = [{"name": "features", "mountPath": FEATURES}] if reads_features(version) else []
    cache = _cache(installation.node_cache, resource.metadata.namespace, version)
    serve = container(
        "serve",
        image,
        installation.pods,
        command=["python", "-m", "slipway.serving"],
        args=[
            f"--model={version.model}:{version.version}",
            f"--digest={version.digest}",
            f"--name={version.model.rpartition('/')[2]}",
            "--host=0.0.0.0",
            f"--port={PORT}",
            f"--cache={CACHE}",
            *cache.arguments,
            *([f"--grpc-port={GRPC_PORT}"] if resource.spec.grpc else []),
            *trusted,
            *verify,
        ],
        env=[*own, *online_secret(resource.spec.online_store), *store["env"]],
        envFrom=store["envFrom"],
        resources=resource.spec.resources,
        ports=[
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            *([{"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"}] if resource.spec.grpc else []),
        ],
        startupProbe=_probe("/v2/health/live", periodSeconds=1, failureThreshold=120),
        readinessProbe=_probe("/v2/health/ready", periodSeconds=2, failureThreshold=3),
        livenessProbe=_probe("/v2/health/live", periodSeconds=10, failureThreshold=6),
        lifecycle={"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}},
        volumeMounts=[cache.mount, *copy, {"name": "tmp", "mountPath": TMP}],
    )
    spec = pod_spec(
        installation.pods,
        installation.service_account,
        containers=[serve],
        terminationGracePeriodSeconds=GRACE_SECONDS,
        topologySpreadConstraints=spread(selector(resource) | {LABEL_REVISION: revision}),
        volumes=[cache.volume, *({"name": "features", "emptyDir": {}} for _ in copy), {"name": "tmp", "emptyDir": {}}],
    )
    template = {"metadata": {"labels": labels(resource, "serving", {LABEL_REVISION: revision})}, "spec": spec}
    merged: Object = merge(template, resource.spec.pod_template)
    return merged


@dataclass(frozen=True)
class _Cache:
    """Where downloads go."""

    volume: Object
    mount: Object
    arguments: tuple[str, ...] = ()


def _cache(node: NodeCache | None, namespace: str, version: VersionRecord) -> _Cache:
    """The node's folder, in which each namespace has its own, where the installation gives it; else a volume of the pod's, which
    a restarted container finds as it was, and which holds this version and no more."""
    mount = {"name": "cache", "mountPath": CACHE}
    if node is None or not node.is_for(namespace):
        size = sum(file.size for file in version.files)
        return _Cache({"name": "cache", "emptyDir": {"sizeLimit": f"{64 + ceil(1.1 * size / (1 << 20))}Mi"}}, mount)
    volume = {"name": "cache", "hostPath": {"path": node.path, "type": "DirectoryOrCreate"}}
    return _Cache(volume, {**mount, "subPath": namespace}, (f"--cache-size={node.size}",))


def _probe(path: str, **fields: int) -> Object:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 2, **fields}


def service(observed: Observed, revision: str, *, shared: bool = False, held: str | None = None) -> Object:
    """The one address that clients use. Its selector names the revision that serves: one write moves all traffic. `shared`:
    the candidate's pods answer too. `held` is what was given up, kept here in the very write that takes its traffic away."""
    resource = observed.deployment
    notes = {ANNOTATION_STABLE: revision} if shared else {}
    if held is not None:
        notes[ANNOTATION_HELD] = held
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(resource, resource.metadata.name, labels(resource, "serving"), notes),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(resource) | ({} if shared else {LABEL_REVISION: revision}),
            "ports": service_ports(resource.spec),
        },
    }


def service_ports(spec: ModelDeploymentSpec) -> list[Object]:
    """Ports of a Service in front of the pods. gRPC is HTTP/2 without TLS, which gateways and meshes have to be told."""
    ports: list[Object] = [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}]
    if spec.grpc:
        ports.append(
            {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"}
        )
    return ports


def url(observed: Observed) -> str:
    meta = observed.deployment.metadata
    return f"http://{meta.name}.{meta.namespace}.svc:{PORT}"
