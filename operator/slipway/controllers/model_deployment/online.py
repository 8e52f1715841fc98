"""Features by entity key in the pods of a version that was trained on feature views. Pure."""

from __future__ import annotations

from slipway.api.online_store import OnlineStore
from slipway.kube.port import Object
from slipway.registry.records import VersionRecord

FEATURES = "/slipway/features"


def reads_features(version: VersionRecord) -> bool:
    """Whether its servers may need an online store."""
    return any(entry.features is not None for entry in version.inputs)


def online_settings(online: OnlineStore | None, version: VersionRecord) -> dict[str, str]:
    """What of spec.onlineStore the server takes from its environment, but for a secret."""
    cache = {"SLIPWAY_ONLINE_CACHE": FEATURES} if reads_features(version) else {}
    if online is None:
        return cache
    return {
        **cache,
        "SLIPWAY_ONLINE_STORE": online.url or "",
        "SLIPWAY_MISSING_FEATURES": online.missing_features.value.lower(),
        "SLIPWAY_OTHER_DEFINITION": online.other_definition.value.lower(),
    }


def online_secret(online: OnlineStore | None) -> list[Object]:
    """The URL out of a Secret: the kubelet reads it, and neither the operator nor any object of ours has it."""
    if online is None or online.secret_ref is None:
        return []
    reference = {"name": online.secret_ref.name, "key": online.secret_ref.key}
    return [{"name": "SLIPWAY_ONLINE_STORE", "valueFrom": {"secretKeyRef": reference}}]
