"""The sample Applications under the real Argo CD, with self-heal: examples/04-canary through commits alone, with requests all the
while. Git and cluster never differ but between a commit and its sync, and health says what is the case."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local.argocd import ArgoCD
from local.demo.install import OPERATOR_NAMESPACE, RELEASE
from local.demo.kubectl import Object
from local.progress import Progress
from tests.e2e.gitops import ROOT, Desired, Watched, watched
from tests.e2e.support import Chain, poll, ready_reason
from tests.e2e.test_rollouts import Requests, gave_up, requests, serves

pytestmark = pytest.mark.alone

MODELS, OPERATOR = "models", "slipway"
HEALTH = (
    "(Missing )?Progressing Healthy "  # first sync
    "Progressing Healthy "  # a canary, from its build to its end
    "Progressing Degraded "  # another one, which is taken back
    "(Progressing )?Healthy"  # Git goes back to what serves: there is little to do
    "( Progressing Healthy)?"  # an autoscaler
)
"""That of the models. What is in brackets may be over before Argo CD looks."""


@dataclass
class Platform:
    """Argo CD with the samples on it."""

    chain: Chain
    argo: ArgoCD
    git: Desired
    seen: Watched

    def until(self, name: str, commit: str, health: str) -> None:
        """Until Argo CD has synced a commit and found the Application so."""

        def holds() -> bool:
            now = self.seen.now(name)
            at_rest = now is not None and now.sync == "Synced" and now.operation == "Succeeded"
            return at_rest and now.revision == commit and now.health == health

        try:
            poll(f"{name} is synced to {commit[:7]} and {health}", holds)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.seen.now(name)}") from error

    def push(self, name: str, spec: Object) -> str:
        """A changed file of the example, committed, and Argo CD told of it as by a webhook."""
        commit = self.git.edit(name, spec)
        self.argo.refresh(MODELS)
        return commit


@pytest.fixture
def platform(chain: Chain, tmp_path: Path) -> Iterator[Platform]:
    cluster = chain.cluster
    values = yaml.safe_load(cluster.helm("get", "values", RELEASE, "-n", OPERATOR_NAMESPACE))
    git = Desired(tmp_path / "git", "04-canary", chain.namespace, values)
    settings = yaml.safe_load((ROOT / "manifests" / "argocd" / "argocd-cm.yaml").read_text())["data"]
    argo = ArgoCD(cluster.kubectl_argv, cluster.info.kubeconfig, cluster.info.helm, Progress(), settings)
    try:
        with argo, watched(cluster) as seen:
            yield Platform(chain, argo, git, seen)
    finally:
        # the values that the other tests know: Helm has not heard of what Argo CD did
        status = yaml.safe_load(cluster.helm("status", RELEASE, "-n", OPERATOR_NAMESPACE, "-o", "yaml"))
        cluster.helm("rollback", RELEASE, str(status["version"]), "-n", OPERATOR_NAMESPACE)


def test_a_canary_a_rollback_an_upgrade_and_an_autoscaler_leave_no_difference(platform: Platform) -> None:
    chain, git, seen = platform.chain, platform.git, platform.seen
    commits = [git.commit()]
    platform.argo.apply(git.root())
    platform.until(MODELS, commits[0], "Healthy")
    assert serves(1)(found(chain))
    with requests(chain, "canary", 20.0) as sent:
        commits.append(platform.push("modelbuild.yaml", {"trainer": {"params": {"C": 2.0, "columns": 3}}}))
        first = chain.until("modeldeployment", "canary", lambda one: "step" in one["status"].get("candidate", {}))
        platform.until(MODELS, commits[-1], "Healthy")
        good = list(sent.failed())
        served_second = serves(2)(found(chain))
        commits.append(platform.push("modelbuild.yaml", {"trainer": {"params": {"C": 2.0, "columns": 4}}}))
        platform.until(MODELS, commits[-1], "Degraded")
        held = chain.until("modeldeployment", "canary", gave_up(3))
        time.sleep(3)
        bad = sent.failed()
    assert first["status"]["candidate"]["weight"] == 25
    assert served_second
    assert good == []
    assert ready_reason(held) == "GateFailed"
    assert "error rate" in held["status"]["held"]["message"]
    assert held["status"]["stable"]["version"] == 2
    # Git goes back to what serves
    commits.append(platform.push("modelbuild.yaml", {"trainer": {"params": {"C": 2.0, "columns": 3}}}))
    platform.until(MODELS, commits[-1], "Healthy")
    stable = found(chain)["status"]["stable"]["revision"]
    poll("pods of what was given up are gone", lambda: names(chain) == names(chain, stable))
    pods = names(chain)
    assert pods
    before = len(seen.states[MODELS])
    git.values = {**git.values, "operator": {"logLevel": "DEBUG"}}
    upgrade = git.commit()
    platform.argo.refresh("platform")
    platform.until("platform", upgrade, "Healthy")
    platform.until(OPERATOR, upgrade, "Healthy")
    during = seen.states[MODELS][before:]
    assert names(chain) == pods, "an upgraded operator leaves pods alone"
    # the new operator's first deed
    commits.append(platform.push("modeldeployment.yaml", {"autoscaling": {"min": 4, "max": 5, "targetRequestsPerSecond": 1000}}))
    poll("the autoscaler made a fourth pod, and it serves", lambda: scaled(chain) == (4, 4))
    platform.until(MODELS, commits[-1], "Healthy")
    time.sleep(3)
    for name in sorted(seen.states):
        print(name, seen.health(name), f"{len(seen.operations(name))} operations", *seen.states[name], sep="\n    ")
    assert {(state.sync, state.health) for state in during} <= {("Synced", "Healthy")}, "models do not notice an upgrade"
    assert re.fullmatch(HEALTH, " ".join(seen.health(MODELS))), seen.health(MODELS)
    assert seen.health(OPERATOR) == ["Healthy", "Progressing", "Healthy"]
    for name, wanted in ((MODELS, commits), (OPERATOR, [upgrade]), ("platform", [commits[0], upgrade])):
        assert seen.out_of_sync(name) == wanted, f"{name}: a difference is a commit's"
        assert seen.operations(name) == wanted, f"{name}: a sync is a commit's"
        assert seen.conditions(name) == set()
    limited(sent, bad)
    recorded(chain)


def found(chain: Chain) -> Object:
    one = chain.get("modeldeployment", "canary")
    assert one is not None
    return one


def names(chain: Chain, revision: str = "") -> set[str]:
    return set(chain.names("pods", f"slipway.dev/revision={revision}" if revision else "slipway.dev/revision"))


def scaled(chain: Chain) -> tuple[int, int]:
    """Pods wanted, and pods that serve."""
    one = chain.get("deployment", chain.names("deployment")[0].partition("/")[2])
    assert one is not None
    return one["spec"]["replicas"], one["status"].get("readyReplicas", 0)


def limited(sent: Requests, bad: list[float]) -> None:
    """The bad version had its share of requests, for one look at the gates, and no more."""
    print(f"{len(sent.answers)} requests, {len(bad)} failed within {bad[-1] - bad[0]:.1f} s")
    assert bad, "the bad version got its share"
    assert bad[-1] - bad[0] <= 10.0, "one look at the gates (5 s), and 5 s"
    share = len(bad) / sent.sent(bad[0], bad[-1])
    assert share <= 0.25 + 0.15, "its weight, and chance: a hundred requests"
    assert {status for _, status in sent.answers} <= {200, 400, 422}


def recorded(chain: Chain) -> None:
    words = ("--field-selector", "involvedObject.kind=ModelDeployment", "-o", "jsonpath={.items[*].reason}")
    reasons = chain.cluster.kubectl("get", "events", "-n", chain.namespace, *words).split()
    assert {"StepBegun", "GatePassed", "GateFailed", "Serving"} <= set(reasons)
