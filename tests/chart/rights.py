"""Rights as sets: those that the chart grants, and those that the operator is seen to use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slipway.kube.resources import BY_KIND, FEATURE_VIEW
from slipway.reconcile.kopf_glue import CHILDREN
from slipway.reconcile.routing import RESOURCES
from tests.chart.helm import Object, of_kind
from tests.fakes.api_server import Call
from tests.faults.controllers import (
    test_app_build,
    test_feature_view,
    test_gateway,
    test_model_build,
    test_model_deployment,
    test_scaling,
    worlds,
)
from tests.faults.sweep import Report, run_reference

OPERATOR = "system:serviceaccount:slipway-system:slipway"
LEASE = "coordination.k8s.io/leases"


@dataclass(frozen=True, order=True)
class Right:
    """`resource` is group/plural[/subresource], with ``core`` for the group without a name."""

    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def of_rules(rules: Iterable[Object]) -> set[Right]:
    """Every combination of a rule's verbs and resources. Raises AssertionError for a wildcard."""
    found = set()
    for rule in rules:
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                for verb in rule["verbs"]:
                    assert "*" not in (group, resource, verb), f"a wildcard in {rule}"
                    found.add(Right(verb, f"{group or 'core'}/{resource}"))
    return found


def granted(objects: list[Object]) -> set[Right]:
    """What the rendered roles, apart from those that are aggregated into the cluster's own, allow the operator."""
    rules: list[Object] = []
    for role in of_kind(objects, "Role") + of_kind(objects, "ClusterRole"):
        labels = role["metadata"]["labels"]
        if not any(name.startswith("rbac.authorization.k8s.io/aggregate-to") for name in labels):
            rules += role["rules"]
    return of_rules(rules)


def of_call(call: Call) -> set[Right]:
    """What the API server asks for when the operator makes this call."""
    resource = BY_KIND[call.kind]
    name = f"{resource.group or 'core'}/{resource.plural}"
    match call.verb:
        case "apply":  # of what may not be there yet
            return {Right("create", name), Right("patch", name)}
        case "apply_status":
            return {Right("patch", f"{name}/status")}
        case "confirm":  # that it is as it was read: an apply of nothing; that it is gone: a read
            return {Right("patch", f"{name}/status"), Right("get", name)}
        case "replace":
            return {Right("update", name)}
        case "log":
            return {Right("get", f"{name}/log")}
        case verb:
            return {Right(verb, name)}


async def used_by_controllers() -> set[Right]:
    """From whole lives of the kinds on the in-memory API server, and a pod that is killed."""
    rights: set[Right] = set()
    lives = (
        test_model_build.LIFE,
        test_model_build.MIDWAY,
        test_app_build.LIFE,
        test_model_deployment.LIFE,
        test_scaling.LIFE,
        test_scaling.KEDA_LIFE,
        test_gateway.LIFE,
        test_feature_view.LIFE,
    )
    for life in lives:
        reference = await run_reference(life, Report("rights"))
        for call in reference.calls:
            rights |= of_call(call)
    killed = test_model_build.build_world()
    killed.cluster.jobs = lambda _job: test_model_build.Ended(exit_code=137, reason="OOMKilled", log=b"epoch 1\n")
    await test_model_build.settle(killed, worlds.put(worlds.model_build(retry={"limit": 0})))
    for call in killed.api.calls:
        rights |= of_call(call)
    return rights


def used_by_machinery() -> set[Right]:
    """What watching, owning and leading take, which are not calls of the controllers."""
    rights = {Right(verb, LEASE) for verb in ("get", "update", "create")}
    for resource in RESOURCES:
        name = f"{resource.group}/{resource.plural}"
        rights |= {Right("list", name), Right("watch", name), Right("get", name)}
        if resource is not FEATURE_VIEW:  # which owns nothing
            rights.add(Right("update", f"{name}/finalizers"))  # blockOwnerDeletion in owner references
    for child in CHILDREN:
        rights |= {Right("list", f"{child.group}/{child.plural}"), Right("watch", f"{child.group}/{child.plural}")}
        rights.add(Right("get", f"{child.group}/{child.plural}"))  # one that observe did not see, before it is applied
    return rights
