"""The operator may do what it does, and nothing else."""

from __future__ import annotations

import json
import re

import pytest

from tests.chart import rights
from tests.chart.helm import CHART, Helm, of_kind, the
from tests.chart.rights import LEASE, OPERATOR, Right
from tests.integration.api.server import Server

BASICS = re.compile(r"^create (authorization|authentication)\.k8s\.io/self")
"""What everybody may: to ask who he is and what he may do."""
MODES = {"everywhere": {}, "in two namespaces": {"watchNamespaces": ["team-a", "team-b"]}}
FORBIDDEN = (
    ("get", "core/secrets"),
    ("list", "core/secrets"),
    ("list", "core/configmaps"),
    ("watch", "core/configmaps"),
    ("update", "core/configmaps"),
    ("create", "core/pods"),
    ("create", "core/pods/exec"),
    ("delete", "core/pods"),
    ("delete", "core/services"),
    ("get", "core/nodes"),
    ("create", "core/serviceaccounts/token"),
    ("impersonate", "core/serviceaccounts"),
    ("patch", "slipway.dev/modelbuilds"),
    ("update", "slipway.dev/modeldeployments"),
    ("delete", "slipway.dev/appbuilds"),
    ("patch", "slipway.dev/featureviews"),
    ("update", "slipway.dev/featureviews/finalizers"),
    ("create", "rbac.authorization.k8s.io/rolebindings"),
    ("escalate", "rbac.authorization.k8s.io/roles"),
    ("list", "coordination.k8s.io/leases"),
    ("patch", "apps/statefulsets"),
)


def test_each_rule_says_why() -> None:
    for name in ("_rules.tpl", "rbac.yaml"):
        lines = (CHART / "templates" / name).read_text().splitlines()
        for number, line in enumerate(lines):
            if not line.strip().startswith("- apiGroups:"):
                continue
            above = number - 1
            while lines[above].strip().startswith("#") and "# Why: " not in lines[above]:
                above -= 1
            assert "# Why: " in lines[above], f"{name}, line {number + 1}: a rule without a reason"


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_granted_is_what_is_used(helm: Helm, mode: str) -> None:
    used = await rights.used_by_controllers() | rights.used_by_machinery()
    granted = rights.granted(helm.template(MODES[mode]))
    assert sorted(map(str, granted - used)) == [], "granted and never used"
    assert sorted(map(str, used - granted)) == [], "used and not granted"


def test_without_a_leader_there_is_no_right_to_leases(helm: Helm) -> None:
    granted = rights.granted(helm.template({"operator": {"leaderElect": False}}))
    assert not [right for right in granted if right.resource == LEASE]


def test_no_rights_are_made_when_somebody_else_makes_them(helm: Helm) -> None:
    objects = helm.template({"rbac": {"create": False, "aggregateRoles": False}})
    assert not [each for each in objects if "Role" in each["kind"]]


@pytest.fixture
def acting(helm: Helm, server: Server, request: pytest.FixtureRequest) -> str:
    """The chart's service account with the chart's rights, on the real server. Gives the mode."""
    mode: str = request.param
    objects = [each for each in helm.template(MODES[mode]) if "Role" in each["kind"] or each["kind"] == "ServiceAccount"]
    made = server.apply(*objects, dry=False, namespace="")
    assert made.ok, made.words
    yield mode
    for each in objects:
        place = ("-n", each["metadata"]["namespace"]) if "namespace" in each["metadata"] else ()
        server.kubectl("delete", each["kind"], each["metadata"]["name"], *place)


def seen_by_the_server(server: Server, namespace: str) -> set[Right]:
    """All rights of the service account in a namespace, as the server's authorizer lists them."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    groups = ("--as-group", "system:serviceaccounts", "--as-group", "system:authenticated")
    answer = server.kubectl(
        "create", "--validate=false", "--as", OPERATOR, *groups, "-f", "-", "-o", "json", given=json.dumps(review)
    ).json
    found = rights.of_rules(answer["status"]["resourceRules"])
    return {right for right in found if not BASICS.match(str(right))}


@pytest.mark.parametrize("acting", MODES, indirect=True)
def test_the_server_sees_the_same_rights_and_no_others(helm: Helm, server: Server, acting: str) -> None:
    granted = rights.granted(helm.template(MODES[acting]))
    without_lease = {right for right in granted if right.resource != LEASE}
    everywhere = acting == "everywhere"
    assert seen_by_the_server(server, "team-a") == without_lease
    assert seen_by_the_server(server, "default") == (without_lease if everywhere else set())
    own = {right for right in granted if right.resource == LEASE}
    assert seen_by_the_server(server, "slipway-system") == (granted if everywhere else own)


@pytest.mark.parametrize("acting", MODES, indirect=True)
def test_what_would_be_too_much_is_refused(server: Server, acting: str) -> None:
    wishes = [(verb, resource, namespace, "") for verb, resource in FORBIDDEN for namespace in ("team-a", "slipway-system")]
    answers = server.allowed(OPERATOR, wishes)
    assert [wish for wish, allowed in zip(wishes, answers, strict=True) if allowed] == []
    assert server.can(OPERATOR, "update", LEASE, "slipway-system", "slipway-operator")
    assert not server.can(OPERATOR, "update", LEASE, "slipway-system", "somebody-elses")


def test_people_get_their_rights_by_the_clusters_own_roles(helm: Helm) -> None:
    objects = helm.template()
    view = the(objects, "ClusterRole", "slipway-system:slipway-view")
    edit = the(objects, "ClusterRole", "slipway-system:slipway-edit")
    assert {right.verb for right in rights.of_rules(view["rules"])} == {"get", "list", "watch"}
    assert not [right for right in rights.of_rules(edit["rules"]) if right.resource.endswith("/status")]
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    assert len(of_kind(objects, "ClusterRoleBinding")) == 1, "only the operator is bound to anything"
