"""Names, labels and owner references of the objects that Slipway makes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from slipway.api.common import (
    LABEL_APP_COMPONENT,
    LABEL_APP_NAME,
    LABEL_KIND,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    MANAGED_BY,
    Resource,
)
from slipway.kube.port import Object

MAX_LABEL = 63


def child_name(name: str, digest: str, suffix: str = "") -> str:
    """A name that the same parent and inputs always give: parent, eight digits of `digest`, and `suffix`."""
    tail = f"-{digest.removeprefix('sha256:')[:8]}{suffix}"
    return name[: MAX_LABEL - len(tail)].rstrip("-.") + tail


def short(digest: str) -> str:
    """A digest as a label value: its hexadecimal digits, as many as a label takes."""
    return digest.removeprefix("sha256:")[:MAX_LABEL]


def labels(resource: Resource, component: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The labels of a child; `component` is its part in Slipway. None is copied from the parent."""
    return {
        LABEL_KIND: resource.KIND,
        LABEL_NAME: label_value(resource.metadata.name),
        LABEL_APP_NAME: label_value(resource.metadata.name),
        LABEL_APP_COMPONENT: component,
        LABEL_MANAGED_BY: MANAGED_BY,
        **(extra or {}),
    }


def selector(resource: Resource) -> dict[str, str]:
    """Labels that find all children of a resource; tell those of an earlier resource of this name apart by `owned`."""
    return {LABEL_KIND: resource.KIND, LABEL_NAME: label_value(resource.metadata.name)}


def label_value(name: str) -> str:
    """`name` as a label value: names longer than 63 characters keep their start and get a digest."""
    if len(name) <= MAX_LABEL:
        return name
    return f"{name[:50].rstrip('-.')}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def owner_reference(resource: Resource) -> dict[str, Any]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.KIND,
        "name": resource.metadata.name,
        "uid": resource.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned(resource: Resource, children: list[Object]) -> tuple[Object, ...]:
    """Those of `children` that this very resource owns and that are not being deleted, by name."""
    mine = [
        child
        for child in children
        if not child["metadata"].get("deletionTimestamp")
        and any(ref.get("uid") == resource.metadata.uid for ref in child["metadata"].get("ownerReferences", ()))
    ]
    return tuple(sorted(mine, key=lambda child: str(child["metadata"]["name"])))


def metadata(resource: Resource, name: str, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> Object:
    """The metadata of a child in its parent's namespace."""
    meta: Object = {
        "name": name,
        "namespace": resource.metadata.namespace,
        "labels": dict(labels),
        "ownerReferences": [owner_reference(resource)],
    }
    if annotations:
        meta["annotations"] = dict(annotations)
    return meta
