"""Pods that Slipway makes: Pod Security restricted, the store's environment, a user's podTemplate merged in, and what a
pod's status says about why it does not run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from slipway.kube.port import Object

WORK = "/slipway"
TMP = "/tmp"  # noqa: S108  a mount of the pod's own
USER = 10001

CONTAINER_SECURITY: Mapping[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
POD_SECURITY: Mapping[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class PodSettings:
    """What an installation says about the pods: the part of `slipway.settings.Settings` that plans may know."""

    registry: str
    store_secret: str
    store_endpoint: str = ""
    store_region: str = ""
    image_pull_policy: str = "IfNotPresent"
    image_pull_secret: str = ""


def env(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]


def store_env(settings: PodSettings) -> dict[str, Any]:
    """`env` and `envFrom` with which a pod reaches the registry's bucket, with the credentials of its own namespace."""
    return {
        "env": env(
            {
                "SLIPWAY_REGISTRY": settings.registry,
                "AWS_ENDPOINT_URL_S3": settings.store_endpoint,
                "AWS_REGION": settings.store_region,
                "HOME": TMP,
            }
        ),
        "envFrom": [{"secretRef": {"name": settings.store_secret, "optional": True}}] if settings.store_secret else [],
    }


def container(name: str, image: str, settings: PodSettings, **fields: Any) -> Object:
    """A container under Pod Security restricted; a message of its own reaches its status."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.image_pull_policy,
        "securityContext": dict(CONTAINER_SECURITY),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **{key: value for key, value in fields.items() if value not in (None, [], {})},
    }


def pod_spec(settings: PodSettings, service_account: str, **fields: Any) -> Object:
    spec: Object = {
        "serviceAccountName": service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": dict(POD_SECURITY),
        **{key: value for key, value in fields.items() if value not in (None, [], {})},
    }
    if settings.image_pull_secret:
        spec["imagePullSecrets"] = [{"name": settings.image_pull_secret}]
    return spec


_KEYS = ("name", "mountPath", "containerPort", "key", "ip")
"""What names an entry in the lists of a pod, in order of preference (Kubernetes' patch merge keys)."""


def merge(base: Any, override: Any) -> Any:
    """`override` over `base` as ``kubectl patch`` does it for pods: maps key by key, lists of named entries entry by entry,
    other lists and values replaced. A null says nothing: it takes nothing away, and is never sent, since the API server would
    drop it and each look would find the object unlike what was sent. The arguments are left as they are."""
    if isinstance(override, Mapping):
        old = base if isinstance(base, Mapping) else {}
        merged = dict(old)
        for key, value in override.items():
            if value is not None:
                merged[key] = merge(old.get(key), value)
        return merged
    if isinstance(override, list):
        entries = [merge(None, entry) for entry in override if entry is not None]
        return _merge_lists(base, entries) if isinstance(base, list) else entries
    return override


def _merge_lists(base: list[Any], override: list[Any]) -> list[Any]:
    entries = base + override
    key = next((k for k in _KEYS if all(isinstance(e, Mapping) and k in e for e in entries)), None)
    if key is None:
        return override
    merged = {entry[key]: entry for entry in base}
    for entry in override:
        merged[entry[key]] = merge(merged[entry[key]], entry) if entry[key] in merged else entry
    return list(merged.values())


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not run, or did not end well."""

    reason: str
    """Reason of `slipway.api.conditions`, or ``""`` when it is only slow."""
    message: str


_IMAGE_WAITS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"})


def trouble(pods: Iterable[Object]) -> Trouble | None:
    """What keeps the newest of `pods` from running, as a sentence that names the container; None when nothing does."""
    newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)
    if newest is None:
        return None
    status = newest.get("status", {})
    for state in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        found = container_trouble(state)
        if found:
            return found
    if status.get("phase") == "Failed":
        return Trouble("PodFailed", f"the pod failed: {status.get('reason', '')} {status.get('message', '')}".strip())
    for condition in status.get("conditions", ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Trouble("", f"the pod cannot be placed: {condition.get('message', 'no reason given')}")
    return None


def container_trouble(state: Mapping[str, Any]) -> Trouble | None:
    """What an entry of a pod's `containerStatuses` says of it."""
    name = state.get("name", "")
    ended = state.get("state", {}).get("terminated") or state.get("lastState", {}).get("terminated")
    if ended and ended.get("reason") == "OOMKilled":
        return Trouble("OutOfMemory", f"container {name} was killed: it needed more memory than resources.limits.memory")
    waiting = state.get("state", {}).get("waiting") or {}
    if waiting.get("reason") in _IMAGE_WAITS:
        words = waiting.get("message", waiting["reason"])
        return Trouble("ImageUnusable", f"image {state.get('image', '')} of container {name} cannot be had: {words}")
    if waiting.get("reason") == "CreateContainerConfigError":
        return Trouble("SecretMissing", f"container {name} cannot be made: {waiting.get('message', '')}")
    if ended and ended.get("exitCode", 0) != 0:
        words = str(ended.get("message", "")).strip()
        said = f": {words[-1000:]}" if words else f" ({ended.get('reason', 'Error')})"
        return Trouble("PodFailed", f"container {name} ended with exit code {ended['exitCode']}{said}")
    return None
