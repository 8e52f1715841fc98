"""The life of a release with the real Helm on a real API server: installed, upgraded, rolled back, uninstalled."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.chart.helm import CHART, Helm, Said, Values
from tests.chart.values import TRIAL
from tests.integration.api import resources
from tests.integration.api.server import Answer, Server

KINDS = ("modelbuilds", "appbuilds", "modeldeployments", "featureviews")


class Place:
    """A release and the cluster that it goes to."""

    def __init__(self, helm: Helm, server: Server) -> None:
        self.helm = helm
        self.server = server

    def install(self, values: Values | None = None, name: str = "slipway", namespace: str = "slipway-system") -> Said:
        words = ("install", name, str(CHART), "--namespace", namespace, "--create-namespace")
        return self.helm.run(*words, values=values or {})

    def upgrade(self, values: Values) -> Said:
        return self.helm.run("upgrade", "slipway", str(CHART), "--namespace", "slipway-system", values=values)

    def uninstall(self, name: str = "slipway", namespace: str = "slipway-system") -> Said:
        return self.helm.run("uninstall", name, "--namespace", namespace, "--ignore-not-found")

    def names(self, kind: str) -> list[str]:
        """What there is of a kind in the whole cluster that belongs to Slipway."""
        answer = self.server.kubectl("get", kind, "-A", "-l", "app.kubernetes.io/part-of=slipway", "-o", "name")
        assert answer.ok, answer.words
        return sorted(line.rpartition("/")[2] for line in answer.out.splitlines())

    def asked(self) -> Answer:
        """Has every kind listed, as an operator would. The API server makes a kind's storage when it is asked for it first, and a
        definition that goes while that is being made can stay Terminating for minutes: its finalizer fails, tries again with what
        it knows from before, and takes the conflict for a change that it will be told of."""
        known = self.server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        return self.server.kubectl("get", ",".join(f"{kind}.slipway.dev" for kind in KINDS), "-A") if known.ok else known

    def deployment(self) -> dict:
        found = self.server.kubectl("get", "deployment", "slipway", "-n", "slipway-system", "-o", "json").json
        return dict(found["spec"]["template"]["spec"]["containers"][0])


@pytest.fixture
def place(releases: tuple[Helm, Server]) -> Iterator[Place]:
    """An empty cluster before, and after."""
    made = Place(*releases)
    yield made
    made.asked()
    for name, namespace in (("slipway", "slipway-system"), ("other", "elsewhere")):
        made.uninstall(name, namespace)
    for kind in KINDS:
        made.server.kubectl("delete", "crd", f"{kind}.slipway.dev", "--ignore-not-found", "--wait")


def test_resources_can_be_made_the_moment_the_chart_is_installed(place: Place) -> None:
    said = place.install()
    assert said.ok, said.words
    assert "Slipway 0.1.0 looks after all namespaces" in said.out
    known = place.server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    assert known.ok, known.words
    made = place.server.apply(resources.model_build(), dry=False)
    assert made.ok, made.words
    listed = place.server.kubectl("get", "slipway", "-n", "default", "-o", "name")
    assert listed.out.split() == ["modelbuild.slipway.dev/breast-cancer"]


def test_what_people_made_outlives_the_release_and_the_next_one_takes_it_over(place: Place) -> None:
    assert place.install().ok
    place.server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    assert place.server.apply(resources.model_build(), dry=False).ok
    said = place.uninstall()
    assert said.ok, said.words
    assert "kept" in said.out
    for kind in ("deployments", "services", "serviceaccounts", "clusterroles", "clusterrolebindings", "roles", "rolebindings"):
        assert place.names(kind) == [], f"{kind} are left"
    assert place.server.kubectl("get", "modelbuild", "breast-cancer", "-n", "default").ok
    again = place.install()
    assert again.ok, again.words
    assert place.server.kubectl("get", "modelbuild", "breast-cancer", "-n", "default").ok


def test_whoever_wants_it_can_have_the_definitions_removed(place: Place) -> None:
    assert place.install({"crds": {"keep": False}}).ok
    assert len(place.names("crd")) == len(KINDS)
    asked = place.asked()
    assert asked.ok, asked.words
    assert place.uninstall().ok
    gone = place.server.kubectl("wait", "--for=delete", "crd", "-l", "app.kubernetes.io/part-of=slipway", "--timeout=50s")
    assert gone.ok, gone.words
    assert place.names("crd") == []


def test_definitions_of_somebody_else_are_left_alone(place: Place) -> None:
    """GitOps may bring them by itself; a second release of another name has to be told."""
    assert place.install().ok
    refused = place.install(name="other", namespace="elsewhere")
    assert not refused.ok
    assert "invalid ownership metadata" in refused.words
    second = place.install({"crds": {"enabled": False}, "watchNamespaces": ["elsewhere"]}, "other", "elsewhere")
    assert second.ok, second.words
    assert place.uninstall("other", "elsewhere").ok
    assert len(place.names("crd")) == len(KINDS)


def test_an_upgrade_changes_what_was_said_and_a_rollback_brings_it_back(place: Place) -> None:
    assert place.install().ok
    before = place.deployment()
    assert place.upgrade({"operator": {"workers": 3}, "image": {"operator": {"tag": "9.9.9"}}}).ok
    after = place.deployment()
    assert after["image"].endswith(":9.9.9")
    assert {"name": "SLIPWAY_WORKERS", "value": "3"} in after["env"]
    assert place.helm.run("rollback", "slipway", "1", "--namespace", "slipway-system").ok
    assert place.deployment() == before


def test_narrowing_to_two_namespaces_takes_the_rights_over_the_others_away(place: Place) -> None:
    for name in ("team-a", "team-b"):
        assert place.server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, dry=False).ok
    assert place.install().ok
    who = "system:serviceaccount:slipway-system:slipway"
    assert place.server.can(who, "list", "slipway.dev/modelbuilds", "default")
    assert place.upgrade({"watchNamespaces": ["team-a", "team-b"]}).ok
    assert place.server.can(who, "list", "slipway.dev/modelbuilds", "team-a")
    assert not place.server.can(who, "list", "slipway.dev/modelbuilds", "default")


def test_an_upgrade_that_cannot_work_changes_nothing(place: Place) -> None:
    assert place.install().ok
    before = place.deployment()
    refused = place.upgrade({"operator": {"replicas": 2, "leaderElect": False}})
    assert not refused.ok
    assert "leaderElect" in refused.words
    assert place.deployment() == before


def test_notes_say_what_to_do_next(place: Place) -> None:
    for namespace in ("team-a", "team-b"):
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        assert place.server.apply(made, dry=False).ok
    said = place.install(TRIAL)
    assert said.ok, said.words
    for words in (
        "kubectl -n slipway-system rollout status deployment/slipway",
        "s3://slipway at http://slipway-seaweedfs.slipway-system.svc:8333",
        "It was made in: team-a, team-b.",
        "port-forward service/slipway-seaweedfs 8333",
        "AppBuilds push to slipway-registry.slipway-system.svc:5000/",
        'host."http://127.0.0.1:30500"',
    ):
        assert words in said.out
    secret = place.server.kubectl("get", "secret", "slipway-store", "-n", "team-a", "-o", "json").json
    assert sorted(secret["data"]) == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert "trial-secret" not in said.out
    assert json.dumps(secret["data"])
