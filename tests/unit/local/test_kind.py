"""The provider `kind`: which commands it runs, on a machine without Docker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local import kind, tools
from local.errors import LocalError, PreflightError
from local.kind import KindProvider
from tests.unit.local.support import Recorder, quiet, refused, settings

NEW = {"kind get nodes": "slipway-control-plane\n", "kind get kubeconfig": "a kubeconfig"}
THERE = NEW | {"kind get clusters": "other\nslipway\n", "docker inspect": "running\n"}


@pytest.fixture(autouse=True)
def _a_machine_with_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda name: Path("/usr/bin") / name)
    monkeypatch.setattr(kind, "http_ok", lambda *_args, **_more: True)


def test_the_first_up_makes_a_cluster_and_wires_the_registry_as_kinds_recipe_says(tmp_path: Path) -> None:
    runner = Recorder(NEW)
    info = KindProvider(settings(tmp_path), quiet(), runner).up()
    (create,) = runner.ran("kind create cluster --name slipway")
    assert 'config_path = "/etc/containerd/certs.d"' in runner.inputs[create]
    (registry,) = runner.ran("docker run -d --restart=unless-stopped --name slipway-registry")
    assert "--network kind" in registry and "-p 127.0.0.1:5001:5000" in registry
    assert runner.commands.index(create) < runner.commands.index(registry), "kind makes the network"
    (wiring,) = runner.ran("docker exec -i slipway-control-plane cp /dev/stdin")
    assert wiring.endswith("/etc/containerd/certs.d/slipway-registry:5000/hosts.toml")
    assert '[host."http://slipway-registry:5000"]' in runner.inputs[wiring]
    (store,) = runner.ran("docker run -d --restart=unless-stopped --name slipway-s3")
    assert "-p 127.0.0.1:8333:8333" in store, "reachable from this machine only"
    assert info.context == "kind-slipway"
    assert (info.registry, info.registry_in_cluster) == ("localhost:5001", "slipway-registry:5000")
    assert info.s3_endpoint_in_cluster == "http://slipway-s3:8333"


def test_the_stores_keys_are_new_private_and_the_ones_that_it_knows(tmp_path: Path) -> None:
    one = KindProvider(settings(tmp_path / "a"), quiet(), Recorder(NEW)).up()
    two = KindProvider(settings(tmp_path / "b"), quiet(), Recorder(NEW)).up()
    assert one.s3_secret_key != two.s3_secret_key
    config = tmp_path / "a" / "slipway" / "kind" / "s3.json"
    assert json.loads(config.read_text())["identities"][0]["credentials"][0]["secretKey"] == one.s3_secret_key
    for path in config.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_an_up_of_what_is_up_makes_nothing_and_keeps_the_keys(tmp_path: Path) -> None:
    first = KindProvider(settings(tmp_path), quiet(), Recorder(NEW)).up()
    runner = Recorder(THERE)
    again = KindProvider(settings(tmp_path), quiet(), runner).up()
    assert again == first
    assert not runner.ran("kind create") and not runner.ran("docker run") and not runner.ran("docker start")


def test_containers_that_were_stopped_are_started(tmp_path: Path) -> None:
    runner = Recorder(THERE | {"docker inspect": "exited\n"})
    KindProvider(settings(tmp_path), quiet(), runner).up()
    assert runner.ran("docker start") == ["docker start slipway-registry", "docker start slipway-s3"]
    assert not runner.ran("docker run")


def test_down_deletes_cluster_and_containers_and_with_purge_the_files(tmp_path: Path) -> None:
    KindProvider(settings(tmp_path), quiet(), Recorder(NEW)).up()
    runner = Recorder(THERE)
    provider = KindProvider(settings(tmp_path), quiet(), runner)
    provider.down(purge=True)
    assert runner.ran("kind delete cluster --name slipway")
    assert len(runner.ran("docker rm --force --volumes slipway-")) == 2
    assert list((tmp_path / "slipway" / "kind").iterdir()) == []
    with pytest.raises(LocalError, match="make up CLUSTER=kind"):
        provider.info()


def test_what_is_missing_is_named_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda _name: None)
    runner = Recorder()
    with pytest.raises(PreflightError) as found:
        KindProvider(settings(tmp_path), quiet(), runner).up()
    assert [problem.split()[0] for problem in found.value.problems] == ["`docker`", "`kind`", "`kubectl`", "`helm`"]
    assert runner.commands == []


def test_a_docker_that_does_not_answer_says_what_to_do(tmp_path: Path) -> None:
    runner = Recorder({"docker version": refused("permission denied while trying to connect to the Docker daemon socket")})
    with pytest.raises(PreflightError, match=r"(?s)start it.*group docker.*permission denied"):
        KindProvider(settings(tmp_path), quiet(), runner).up()
    assert not runner.ran("kind")


def test_status_tells_each_part(tmp_path: Path) -> None:
    found = KindProvider(
        settings(tmp_path), quiet(), Recorder(THERE | {"docker inspect --format {{.State.Status}} slipway-s3": ""})
    )
    assert found.status().up
    gone = KindProvider(settings(tmp_path), quiet(), Recorder({"kind get clusters": "slipway", "docker inspect": ""})).status()
    assert not gone.up and {part.detail for part in gone.parts} == {"not there"}
    assert KindProvider(settings(tmp_path), quiet(), Recorder()).status().parts == ()
