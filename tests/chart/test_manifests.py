"""What can be installed without Helm: kustomize builds, the generated files, and Applications for Argo CD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manifests import render
from slipway.settings import Settings
from tests.chart.helm import ROOT, Helm, Object, container, objects_of, of_kind, the
from tests.integration.api.server import Server

INSTALL = ROOT / "manifests/install"
OVERLAYS = sorted(path.parent for path in (ROOT / "manifests/overlays").glob("*/kustomization.yaml"))
APPLICATIONS = sorted((ROOT / "manifests/argocd/applications").glob("*.yaml"))


def built(server: Server, folder: Path) -> list[Object]:
    answer = server.kubectl("kustomize", str(folder))
    assert answer.ok, answer.words
    assert "deprecated" not in answer.words.lower()
    return objects_of(answer.out)


def identities(objects: list[Object]) -> set[tuple[str, str, str]]:
    return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in objects}


def test_generated_files_are_what_their_sources_give(helm: Helm) -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, text in render.files(helm.program).items()
        if not path.exists() or path.read_text() != text
    ]
    assert stale == [], "run: make generate"


@pytest.mark.parametrize("folder", [INSTALL, *OVERLAYS], ids=lambda folder: folder.name)
def test_the_api_server_takes_what_kustomize_builds(server: Server, folder: Path) -> None:
    answer = server.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-k", str(folder))
    assert answer.ok, answer.words
    objects = built(server, folder)
    assert len(answer.out.splitlines()) == len(objects)
    assert len(of_kind(objects, "CustomResourceDefinition")) == 4


def test_kustomize_installs_what_the_chart_installs(helm: Helm, server: Server) -> None:
    ours = identities(built(server, INSTALL))
    assert ours - {("Namespace", "", "slipway-system")} == identities(
        helm.template({"store": {"existingSecret": "slipway-store"}})
    )


@pytest.mark.parametrize("folder", OVERLAYS, ids=lambda folder: folder.name)
def test_an_overlay_changes_the_settings_that_it_names(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, changed = container(built(server, INSTALL)), container(built(server, folder))
    assert changed["image"] != plain["image"]
    names = [entry["name"] for entry in changed["env"]]
    assert len(names) == len(set(names)), "one variable twice: the patch was appended instead of merged"
    for entry in changed["env"]:
        if "value" in entry:
            monkeypatch.setenv(entry["name"], entry["value"])
    settings = Settings.load()
    assert settings.registry == "s3://models.example.com/slipway"
    assert settings.serving_image.startswith("registry.example.com/")
    assert {name for name in names if name.startswith("SLIPWAY_")} <= {f"SLIPWAY_{f.upper()}" for f in Settings.model_fields}


def argo(path: Path) -> dict[str, Any]:
    (found,) = objects_of(path.read_text())
    return found


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_a_sample_application_leads_to_something_that_is_there(path: Path) -> None:
    application = argo(path)
    assert (application["apiVersion"], application["kind"]) == ("argoproj.io/v1alpha1", "Application")
    spec = application["spec"]
    assert (ROOT / spec["source"]["path"]).is_dir(), "spec.source.path"
    assert spec["destination"]["server"] == "https://kubernetes.default.svc"
    assert spec["project"]
    assert set(spec) <= {"project", "source", "destination", "syncPolicy", "ignoreDifferences"}


def test_the_operator_comes_before_what_needs_it() -> None:
    waves = {path.stem: argo(path)["metadata"].get("annotations", {}) for path in APPLICATIONS}
    wave = "argocd.argoproj.io/sync-wave"
    assert int(waves["slipway"][wave]) < int(waves["breast-cancer"][wave])


def test_the_values_in_the_application_are_values_of_the_chart(helm: Helm) -> None:
    source = argo(ROOT / "manifests/argocd/applications/slipway.yaml")["spec"]["source"]
    objects = helm.template(source["helm"]["valuesObject"], release=source["helm"]["releaseName"])
    assert the(objects, "Deployment", "slipway")


def test_the_example_application_holds_manifests_only(server: Server) -> None:
    """Argo CD applies every YAML file of the folder: all of them have to be for the cluster."""
    source = argo(ROOT / "manifests/argocd/applications/breast-cancer.yaml")["spec"]["source"]
    found = [o for path in sorted((ROOT / source["path"]).glob("*.yaml")) for o in objects_of(path.read_text())]
    kinds = {each["kind"] for each in found}
    assert {"ModelBuild", "ModelDeployment"} <= kinds
    answer = server.apply(*[o for o in found if o["kind"] != "Kustomization"], namespace="default")
    assert answer.ok, answer.words
