"""From an object that changed to the resources that have to be looked at."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.reconcile.contract import Key
from slipway.reconcile.routing import keys_for


def followers(namespace: str) -> list[str]:
    return ["web", "batch"] if namespace == "ns" else []


def obj(kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "ns", **metadata}}


@pytest.mark.parametrize("kind", ["ModelBuild", "AppBuild"])
def test_a_build_wakes_the_deployments_of_its_namespace_too(kind: str) -> None:
    deployments = [Key("ModelDeployment", "ns", name) for name in ("web", "batch")]
    assert keys_for(obj(kind, "cancer"), followers) == [Key(kind, "ns", "cancer"), *deployments]


def test_a_deployment_wakes_itself() -> None:
    assert keys_for(obj("ModelDeployment", "web"), followers) == [Key("ModelDeployment", "ns", "web")]


def test_a_child_wakes_its_owner_by_reference_whatever_its_labels_say() -> None:
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x"},
        {"apiVersion": "slipway.dev/v1beta7", "kind": "ModelBuild", "name": "a" * 200},
    ]
    labels = {"slipway.dev/kind": "AppBuild", "slipway.dev/name": "other"}
    child = obj("Job", "train", ownerReferences=owners, labels=labels)
    assert keys_for(child, followers) == [Key("ModelBuild", "ns", "a" * 200)]


def test_a_child_that_lost_its_owner_is_told_by_its_labels() -> None:
    labels = {"slipway.dev/kind": "ModelBuild", "slipway.dev/name": "cancer"}
    assert keys_for(obj("Job", "train", labels=labels), followers) == [Key("ModelBuild", "ns", "cancer")]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"slipway.dev/kind": "Gadget", "slipway.dev/name": "x"}},
        {"labels": {"slipway.dev/kind": "ModelBuild"}},
        {"ownerReferences": [{"apiVersion": "other.dev/v1", "kind": "ModelBuild", "name": "x"}]},
        {"ownerReferences": [{}]},
    ],
)
def test_other_peoples_objects_wake_nobody(metadata: dict[str, Any]) -> None:
    assert keys_for(obj("Job", "train", **metadata), followers) == []
