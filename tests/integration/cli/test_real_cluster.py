"""The command line against a real API server: what it writes is accepted, and touches nothing else."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from local import binaries
from local import settings as local_settings
from local.control_plane import ControlPlane
from local.progress import Progress
from slipway.api.common import ANNOTATION_APPROVE, ANNOTATION_REBUILD, Approval
from slipway.cli.cluster import Cluster
from slipway.cli.connection import connect
from slipway.cli.main import app
from slipway.kube.port import Conflict, Object
from slipway.kube.resources import MODEL_BUILD, MODEL_DEPLOYMENT
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import Cli, model_build, model_deployment, promoted, register

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with ControlPlane() as plane:
        command = [
            str(binaries.ensure(local_settings.read(), Progress()).component("kubectl")),
            "--kubeconfig",
            str(plane.kubeconfig),
        ]
        for words in (
            ["apply", "--server-side", "-f", str(ROOT / "crds")],
            ["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"],
        ):
            subprocess.run([*command, *words], check=True, capture_output=True, timeout=60)
        yield plane


class Real:
    """A namespace of its own on the real server."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.namespace = f"t-{uuid.uuid4().hex[:8]}"
        self.cluster = Cluster(lambda: connect(str(plane.kubeconfig), None))
        self.cluster.run(
            lambda kube: kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        )

    def make(self, manifest: Object, status: Object | None = None) -> Object:
        meta = {**manifest["metadata"], "namespace": self.namespace}
        body = {key: value for key, value in manifest.items() if key != "status"} | {"metadata": meta}
        made = self.cluster.run(lambda kube: kube.create(body))
        if status is None:
            return made
        written = {key: body[key] for key in ("apiVersion", "kind", "metadata")} | {"status": status}
        return self.cluster.run(lambda kube: kube.apply_status(written, field_manager="slipway-test"))

    def annotations(self, name: str) -> dict[str, str]:
        found = self.cluster.require(MODEL_BUILD, self.namespace, name)
        return dict(found["metadata"].get("annotations", {}))


@pytest.fixture
def real(plane: ControlPlane) -> Real:
    return Real(plane)


@pytest.fixture
def slipway(real: Real, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs ``slipway … -n`` with a real kubeconfig."""
    monkeypatch.setenv("SLIPWAY_REGISTRY", registry.store.uri)
    monkeypatch.setenv("KUBECONFIG", str(real.plane.kubeconfig))

    def run(*words: str) -> Result:
        result = CliRunner().invoke(app, [*words, "-n", real.namespace], prog_name="slipway")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def manual() -> tuple[Object, Object]:
    status = promoted(3)
    del status["version"]["promotedTo"]
    return model_build(promotion={"alias": "champion", "approval": "Manual"}), status


def test_build_and_approve_write_their_annotations_and_nothing_else(slipway: Cli, real: Real) -> None:
    before = real.make(*manual())
    assert slipway("build", "bc").exit_code == 0
    approved = slipway("approve", "bc", "--reason", "seen")
    assert approved.exit_code == 0, approved.stderr
    assert slipway("build", "bc").exit_code == 0
    after = real.cluster.require(MODEL_BUILD, real.namespace, "bc")
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["status"] == before["status"]
    assert set(real.annotations("bc")) == {ANNOTATION_APPROVE, ANNOTATION_REBUILD}
    approval = Approval.parse(real.annotations("bc")[ANNOTATION_APPROVE])
    assert approval is not None
    assert (approval.version, approval.reason) == (3, "seen")
    assert approval.by not in ("", "unknown")
    assert f"approved by {approval.by};" in approved.stdout


def test_the_server_tells_who_we_are(slipway: Cli, real: Real) -> None:
    real.make(*manual())
    assert slipway("approve", "bc").exit_code == 0
    approval = Approval.parse(real.annotations("bc")[ANNOTATION_APPROVE])
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {"name": "me"}}
    answer = real.cluster.run(lambda kube: kube.create(review))
    assert approval is not None
    assert approval.by == answer["status"]["userInfo"]["username"]


def test_a_resource_that_was_deleted_meanwhile_is_not_made_anew(real: Real) -> None:
    found = real.make(model_build())
    real.cluster.run(lambda kube: kube.delete(MODEL_BUILD, real.namespace, "bc"))
    with pytest.raises(Conflict):
        real.cluster.annotate(found, ANNOTATION_REBUILD, "x", field_manager="slipway-cli-build")
    assert real.cluster.get(MODEL_BUILD, real.namespace, "bc") is None


def test_rollback_of_a_pinned_version_passes_the_servers_rules(slipway: Cli, real: Real, registry: Registry) -> None:
    for seed in range(3):
        register(registry, f"{real.namespace}/bc", seed=seed)
    real.make(model_deployment(model={"name": "bc", "version": 3}))
    result = slipway("rollback", "bc", "--to", "2")
    assert result.exit_code == 0, result.stderr
    found = real.cluster.require(MODEL_DEPLOYMENT, real.namespace, "bc")
    assert found["spec"]["model"] == {"name": "bc", "version": 2}
    assert found["metadata"]["generation"] == 2


def test_status_reads_what_the_server_kept(slipway: Cli, real: Real) -> None:
    real.make(model_build(), promoted(7))
    real.make(model_deployment())
    shown = slipway("status").stdout
    assert "✓ ModelBuild bc  Ready: Promoted" in shown
    (chain,) = json.loads(slipway("status", "-o", "json").stdout)
    assert chain["modelBuilds"][0]["status"]["version"]["number"] == 7
    missing = slipway("status", "bcc")
    assert missing.exit_code == 3
    assert "did you mean bc?" in missing.stderr


def test_a_person_without_rights_is_told_in_the_servers_words(slipway: Cli, real: Real, tmp_path: Path) -> None:
    config = yaml.safe_load(real.plane.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": "wrong"}} for user in config["users"]]
    path = tmp_path / "nobody"
    path.write_text(yaml.safe_dump(config))
    result = slipway("status", "--kubeconfig", str(path))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "Unauthorized" in result.stderr
