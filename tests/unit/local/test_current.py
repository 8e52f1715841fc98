"""The provider `current`: what it asks of somebody else's cluster before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import tools
from local.current import CurrentProvider
from local.errors import LocalError, PreflightError
from tests.unit.local.support import Recorder, quiet, refused, settings

GOOD = {"kubectl get --raw /readyz": "ok", "kubectl auth can-i": "yes\n", "kubectl config current-context": "work\n"}
VARIABLES = {
    "SLIPWAY_REGISTRY_HOST": "registry.test:5000",
    "AWS_ENDPOINT_URL_S3": "http://s3.test",
    "AWS_ACCESS_KEY_ID": "AK",
    "AWS_SECRET_ACCESS_KEY": "SK",
}


@pytest.fixture(autouse=True)
def _kubectl_and_helm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda name: Path("/usr/bin") / name)


def provider(home: Path, runner: Recorder, *, answers: bool = True, **environ: str) -> CurrentProvider:
    return CurrentProvider(settings(home, **environ), quiet(), runner, lambda *_args, **_more: answers)


def test_a_cluster_that_has_all_is_taken_as_it_is(tmp_path: Path) -> None:
    runner = Recorder(GOOD)
    info = provider(tmp_path, runner, **VARIABLES, KUBECONFIG="/home/ann/config", SLIPWAY_S3_BUCKETS="models,data").up()
    assert (info.context, info.kubeconfig, info.registry) == ("work", "/home/ann/config", "registry.test:5000")
    assert info.buckets == ("models", "data")
    assert info.registry_in_cluster == info.registry and info.s3_endpoint_in_cluster == info.s3_endpoint
    assert all(" get " in c or " auth can-i " in c or " config " in c for c in runner.commands), "nothing is changed"


def test_addresses_for_pods_may_differ(tmp_path: Path) -> None:
    more = {"SLIPWAY_REGISTRY_HOST_IN_CLUSTER": "registry:5000", "SLIPWAY_S3_ENDPOINT_IN_CLUSTER": "http://s3:8333"}
    info = provider(tmp_path, Recorder(GOOD), **VARIABLES, **more).up()
    assert (info.registry_in_cluster, info.s3_endpoint_in_cluster) == ("registry:5000", "http://s3:8333")


def test_several_kubeconfigs_are_left_to_kubectl(tmp_path: Path) -> None:
    assert provider(tmp_path, Recorder(GOOD), **VARIABLES, KUBECONFIG="/a:/b").info().kubeconfig == ""


def test_every_variable_that_is_missing_is_named_with_what_it_is_for(tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as found:
        provider(tmp_path, Recorder(GOOD)).up()
    assert [problem.split()[0] for problem in found.value.problems] == list(VARIABLES)
    assert all(": " in problem for problem in found.value.problems)


def test_a_right_that_is_missing_is_named(tmp_path: Path) -> None:
    runner = Recorder({"kubectl auth can-i create clusterroles": "no\n"} | GOOD)
    with pytest.raises(PreflightError, match=r"you may not create clusterroles"):
        provider(tmp_path, runner, **VARIABLES).up()


def test_a_cluster_that_does_not_answer_is_said_to_not_answer(tmp_path: Path) -> None:
    runner = Recorder(GOOD | {"kubectl get --raw /readyz": refused("connection refused")})
    with pytest.raises(PreflightError) as found:
        provider(tmp_path, runner, **VARIABLES).up()
    assert len(found.value.problems) == 1 and "does not answer" in found.value.problems[0]


def test_a_store_and_a_registry_that_do_not_answer_are_named_with_their_variable(tmp_path: Path) -> None:
    with pytest.raises(PreflightError) as found:
        provider(tmp_path, Recorder(GOOD), answers=False, **VARIABLES).up()
    assert ["SLIPWAY_REGISTRY_HOST" in p or "AWS_ENDPOINT_URL_S3" in p for p in found.value.problems] == [True, True]


def test_no_context_is_an_error_that_says_so(tmp_path: Path) -> None:
    runner = Recorder(GOOD | {"kubectl config current-context": refused("current-context is not set")})
    with pytest.raises(LocalError, match="no current kube context"):
        provider(tmp_path, runner, **VARIABLES).up()


def test_down_takes_away_what_the_demo_installs_and_leaves_kinds_that_others_use(tmp_path: Path) -> None:
    others = {"kubectl get crd": "crd", "kubectl get modelbuilds": '{"items": [{}]}', "kubectl get": '{"items": []}'}
    runner = Recorder(others)
    provider(tmp_path, runner).down(purge=True)
    assert runner.ran("helm uninstall slipway")
    assert [c.split()[3] for c in runner.ran("kubectl delete namespace")] == ["demo", "slipway-system"]
    kinds = [c.split()[3].partition(".")[0] for c in runner.ran("kubectl delete crd")]
    assert kinds == ["appbuilds", "modeldeployments", "featureviews"]


def test_down_without_purge_leaves_the_kinds(tmp_path: Path) -> None:
    runner = Recorder()
    provider(tmp_path, runner).down()
    assert not runner.ran("kubectl delete crd")
