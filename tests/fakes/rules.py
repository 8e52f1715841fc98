"""What the API server demands of objects and adds to them, as far as Slipway's own objects meet it."""

from __future__ import annotations

import re
from typing import Any

from slipway.kube.port import Object, Rejected
from tests.fakes import ssa

SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
LABEL_1035 = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
IMMUTABLE = {
    "Job": ("template", "selector", "completions"),
    "Deployment": ("selector",),
}
WITH_GENERATION = frozenset(
    {"ModelBuild", "AppBuild", "ModelDeployment", "FeatureView", "Job", "Deployment", "PodDisruptionBudget", "HTTPRoute"}
)
WITH_STATUS = frozenset({*WITH_GENERATION, "Service", "Pod", "Namespace"})
MAX_ANNOTATIONS = 262144


def check(obj: Object) -> None:
    """Raises Rejected (422) with the server's kind of words."""
    kind, metadata = obj["kind"], obj["metadata"]
    name = metadata["name"]
    longest, pattern = (63, LABEL_1035) if kind == "Service" else (63 if kind == "Job" else 253, SUBDOMAIN)
    if len(name) > longest or not pattern.match(name):
        raise _invalid(obj, f'metadata.name: Invalid value: "{name}": must be no more than {longest} characters, lower case')
    for key, value in metadata.get("labels", {}).items():
        if not isinstance(value, str) or len(value) > 63 or not LABEL_VALUE.match(value):
            raise _invalid(
                obj, f'metadata.labels: Invalid value: "{value}" of {key}: a valid label must be 63 characters or less'
            )
    annotations = metadata.get("annotations", {})
    if any(not isinstance(value, str) for value in annotations.values()):
        raise Rejected(f"{kind} {name}: metadata.annotations: expected string", code=400)
    if sum(len(key) + len(value) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        raise _invalid(obj, f"metadata.annotations: Too long: must have at most {MAX_ANNOTATIONS} bytes")
    for owner in metadata.get("ownerReferences", ()):
        if not all(owner.get(field) for field in ("apiVersion", "kind", "name", "uid")):
            raise _invalid(obj, "metadata.ownerReferences: Required value")
    _check_pods(obj)


def _check_pods(obj: Object) -> None:
    if obj["kind"] not in ("Job", "Deployment"):
        return
    template = obj.get("spec", {}).get("template", {})
    for part in ("metadata", "spec"):
        if not isinstance(template.get(part, {}), dict):
            raise Rejected(f"{obj['kind']}: .spec.template.{part}: expected map, got {template[part]!r}", code=400)
    for part in ("labels", "annotations"):
        values = template.get("metadata", {}).get(part) or {}
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise Rejected(f"{obj['kind']}: .spec.template.metadata.{part}: expected string, got {values!r}", code=400)
    containers = template.get("spec", {}).get("containers")
    if not containers or any(not container.get("name") for container in containers):
        raise _invalid(obj, "spec.template.spec.containers: Required value")
    if obj["kind"] == "Deployment":
        wanted = obj["spec"].get("selector", {}).get("matchLabels", {})
        labels = template.get("metadata", {}).get("labels", {})
        if not wanted or any(labels.get(key) != value for key, value in wanted.items()):
            raise _invalid(obj, "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`")
    elif template["spec"].get("restartPolicy") not in ("Never", "OnFailure"):
        raise _invalid(obj, 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"')


def check_change(old: Object, new: Object) -> None:
    """Raises Rejected (422) for a change of what cannot be changed."""
    for field in IMMUTABLE.get(new["kind"], ()):
        if old.get("spec", {}).get(field) != new.get("spec", {}).get(field):
            raise _invalid(new, f"spec.{field}: Invalid value: field is immutable")


def _invalid(obj: Object, words: str) -> Rejected:
    return Rejected(f'{obj["kind"]} "{obj["metadata"]["name"]}" is invalid: {words}')


def with_defaults(obj: Object) -> Object:
    """Some of the values that the server fills in, so that nothing comes to rely on reading back what was sent."""
    obj = ssa.clone(obj)
    kind = obj["kind"]
    spec: dict[str, Any] = obj.get("spec", {})
    if kind == "Job":
        uid = obj["metadata"]["uid"]
        for field, value in (("backoffLimit", 6), ("completions", 1), ("parallelism", 1), ("suspend", False)):
            spec.setdefault(field, value)
        spec.setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
        labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
        labels.setdefault("batch.kubernetes.io/controller-uid", uid)
        labels.setdefault("batch.kubernetes.io/job-name", obj["metadata"]["name"])
    if kind == "Deployment":
        for field, value in (("replicas", 1), ("progressDeadlineSeconds", 600), ("revisionHistoryLimit", 10)):
            spec.setdefault(field, value)
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
        spec.setdefault("strategy", rolling)
    if kind == "Service":
        spec.setdefault("clusterIP", "10.96.0.10")
        spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports", ()):
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
    if kind == "HTTPRoute":
        for parent in spec.get("parentRefs", ()):
            parent |= {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
        for rule in spec.get("rules", ()):
            rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}])
            for backend in rule.get("backendRefs", ()):
                backend.setdefault("group", "")
    if kind in ("Job", "Deployment"):
        pod = spec["template"]["spec"]
        pod.setdefault("dnsPolicy", "ClusterFirst")
        pod.setdefault("restartPolicy", "Always")
        for container in pod["containers"]:
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            for port in container.get("ports", ()):
                port.setdefault("protocol", "TCP")
    return obj
