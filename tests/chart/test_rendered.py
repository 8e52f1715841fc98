"""A real API server takes what the chart renders, for all values, and the pods keep to Pod Security "restricted"."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, ROOT, Helm, Object, of_kind, the
from tests.chart.values import MATRIX
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import app_build, model_build, model_deployment, put
from tests.faults.world import Operator, World
from tests.integration.api.server import Server


def pods(objects: list[Object]) -> list[Object]:
    """What a controller would make of the pod templates, in a namespace where only "restricted" may run."""
    made = []
    for each in of_kind(objects, "Deployment") + of_kind(objects, "Job"):
        template = json.loads(json.dumps(each["spec"]["template"]))
        template.setdefault("metadata", {}).update({"name": each["metadata"]["name"], "namespace": "restricted"})
        template["spec"].pop("priorityClassName", None)
        made.append({"apiVersion": "v1", "kind": "Pod", **template})
    return made


@pytest.mark.parametrize("case", MATRIX)
def test_the_api_server_takes_all_of_it(helm: Helm, server: Server, case: str) -> None:
    """Strictly: an unknown or a misplaced field is refused."""
    objects = helm.template(MATRIX[case])
    answer = server.apply(*objects, namespace="")
    assert answer.ok, answer.words
    assert "unknown field" not in answer.words
    assert len(answer.json["items"]) == len(objects)


@pytest.mark.parametrize("case", MATRIX)
def test_pods_keep_to_the_strictest_level(helm: Helm, server: Server, case: str) -> None:
    found = pods(helm.template(MATRIX[case]))
    answer = server.apply(*found, namespace="restricted")
    assert answer.ok, answer.words
    for pod in found:
        for container in pod["spec"]["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert container["resources"]["requests"], "the scheduler is told what it needs"
            assert container["resources"]["limits"]["memory"], "one leak does not take the node down"


def test_the_level_is_really_enforced_here(helm: Helm, server: Server) -> None:
    (pod,) = pods(helm.template())
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    answer = server.apply(pod, namespace="restricted")
    assert not answer.ok
    assert "allowPrivilegeEscalation" in answer.words


async def test_pods_that_the_operator_makes_keep_to_it_too(server: Server) -> None:
    world: World = worlds.world()
    for action in (put(model_build()), put(app_build()), put(model_deployment())):
        action(world)
        await Operator(world).run_to_rest()
    found = pods([*world.api.all("Deployment"), *world.api.all("Job")])
    assert len(found) == 3
    for pod in found:
        pod["metadata"] = {"name": pod["metadata"]["name"], "namespace": "restricted", "labels": pod["metadata"]["labels"]}
        answer = server.apply(pod, namespace="restricted")
        assert answer.ok, answer.words
        assert pod["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("way", [("apply", "-f", "-"), ("apply", "--server-side", "-f", "-"), ("create", "-f", "-")])
def test_kubectl_takes_what_helm_template_prints(helm: Helm, server: Server, way: tuple[str, ...]) -> None:
    said = helm.run("template", "slipway", str(CHART), "--namespace", "team-a", "--set", "crds.enabled=false", values={})
    assert said.ok
    answer = server.kubectl(*way, "--dry-run=server", given=said.out)
    assert answer.ok, answer.words
    assert "deployment.apps/slipway" in answer.out


def test_every_object_says_where_it_belongs(helm: Helm) -> None:
    for case in ("a trial with everything inside", "two namespaces only", "watched and walled in"):
        for each in helm.template(MATRIX[case], release="other", namespace="elsewhere"):
            labels = each["metadata"]["labels"]
            assert labels["app.kubernetes.io/instance"] == "other"
            assert labels["app.kubernetes.io/part-of"] == "slipway"
            if each["kind"].startswith("Cluster") or each["kind"] == "CustomResourceDefinition":
                continue
            assert each["metadata"]["namespace"] in ("elsewhere", "team-a", "team-b")


def test_two_releases_do_not_meet(helm: Helm) -> None:
    def names(release: str, namespace: str) -> set[tuple[str, str, str]]:
        objects = helm.template({"crds": {"enabled": False}}, release=release, namespace=namespace)
        return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects}

    assert not names("slipway", "one") & names("slipway", "two")
    assert not names("slipway", "one") & names("other", "one")


def selects(selector: dict[str, str], pod_labels: dict[str, str]) -> bool:
    return all(pod_labels.get(name) == value for name, value in selector.items())


def test_services_policies_and_budgets_find_their_pods(helm: Helm) -> None:
    values = {**MATRIX["a trial with everything inside"], "operator": {"replicas": 2}, "networkPolicy": {"enabled": True}}
    objects = helm.template(values)
    templates = {d["metadata"]["name"]: d["spec"]["template"]["metadata"]["labels"] for d in of_kind(objects, "Deployment")}

    def found(selector: dict[str, str]) -> list[str]:
        return [name for name, labels in templates.items() if selects(selector, labels)]

    services = {s["metadata"]["name"]: found(s["spec"]["selector"]) for s in of_kind(objects, "Service")}
    assert services == {
        "slipway-metrics": ["slipway"],
        "slipway-seaweedfs": ["slipway-seaweedfs"],
        "slipway-registry": ["slipway-registry"],
    }
    (budget,) = of_kind(objects, "PodDisruptionBudget")
    assert found(budget["spec"]["selector"]["matchLabels"]) == ["slipway"]
    policies = [found(p["spec"]["podSelector"]["matchLabels"]) for p in of_kind(objects, "NetworkPolicy")]
    assert sorted(policies) == [["slipway"], ["slipway-seaweedfs"]]


def test_a_monitor_reads_a_port_that_is_there(helm: Helm) -> None:
    objects = helm.template(MATRIX["watched and walled in"])
    (monitor,) = of_kind(objects, "ServiceMonitor")
    service = the(objects, "Service", "slipway-metrics")
    assert monitor["spec"]["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert selects(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])


def test_the_definitions_are_those_of_the_repository(helm: Helm) -> None:
    rendered = {each["metadata"]["name"]: each["spec"] for each in of_kind(helm.template(), "CustomResourceDefinition")}
    committed: dict[str, Any] = {}
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        each = yaml.safe_load(path.read_text())
        committed[each["metadata"]["name"]] = each["spec"]
    assert rendered == committed
