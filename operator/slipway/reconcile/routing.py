"""Which resources have to be looked at when an object changes. Pure; shared by the glue and the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from slipway.api.common import GROUP, LABEL_KIND, LABEL_NAME
from slipway.kube.resources import APP_BUILD, FEATURE_VIEW, MODEL_BUILD, MODEL_DEPLOYMENT
from slipway.reconcile.contract import Key

RESOURCES = (MODEL_BUILD, APP_BUILD, MODEL_DEPLOYMENT, FEATURE_VIEW)
KINDS = frozenset(resource.kind for resource in RESOURCES)
FEEDS_DEPLOYMENTS = frozenset({MODEL_BUILD.kind, APP_BUILD.kind})
"""Kinds whose result a ModelDeployment waits for: a new alias or image has to arrive there without delay."""

Names = Callable[[str], Iterable[str]]
"""Names of the ModelDeployments of a namespace."""


def keys_for(obj: Mapping[str, Any], deployments: Names) -> list[Key]:
    """The resource itself; for a build, the ModelDeployments of its namespace too; for a child, its owner."""
    metadata = obj["metadata"]
    kind, namespace = obj["kind"], metadata.get("namespace", "")
    if kind in KINDS:
        followers = deployments(namespace) if kind in FEEDS_DEPLOYMENTS else ()
        names = (Key(MODEL_DEPLOYMENT.kind, namespace, name) for name in followers)
        return [Key(kind, namespace, metadata["name"]), *names]
    owner = _owner(metadata)
    return [Key(owner[0], namespace, owner[1])] if owner else []


def _owner(metadata: Mapping[str, Any]) -> tuple[str, str] | None:
    """Kind and name of the resource that a child belongs to: by its owner reference, since a label holds no long
    name."""
    for reference in metadata.get("ownerReferences", ()):
        if reference.get("kind") in KINDS and str(reference.get("apiVersion", "")).startswith(f"{GROUP}/"):
            return reference["kind"], reference["name"]
    labels = metadata.get("labels", {})
    kind, name = labels.get(LABEL_KIND), labels.get(LABEL_NAME)
    return (kind, name) if kind in KINDS and name else None
