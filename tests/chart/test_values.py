"""What Helm itself says of the chart and of values, good and bad; and what becomes of values in the operator."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from slipway.settings import Settings
from slipway.telemetry import logs
from tests.chart.helm import CHART, Helm, container, environment, the
from tests.chart.values import BAD, MATRIX

NOT_OF_THE_CHART = {"bind_address", "allow_pickle"}
"""Settings that no value sets: pods are always probed on their own address, and pickles are never loaded."""


@pytest.mark.parametrize("case", MATRIX)
def test_lint_finds_nothing(helm: Helm, case: str) -> None:
    said = helm.run("lint", str(CHART), "--strict", "--kube-version", "1.34.0", values=MATRIX[case])
    assert said.ok, said.out + said.words
    assert "[WARNING]" not in said.out


@pytest.mark.parametrize("case", BAD)
def test_values_that_cannot_work_are_refused_by_name(helm: Helm, case: str) -> None:
    values, words = BAD[case]
    refusal = helm.refusal(values).replace("/", ".")
    for word in words:
        assert word.replace("/", ".") in refusal


@pytest.mark.parametrize("case", MATRIX)
def test_the_operator_takes_the_settings_that_values_become(helm: Helm, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment(helm.template(MATRIX[case]))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    logs.setup(settings.log_format, settings.log_level, io.StringIO())
    ours = {name for name in given if name.startswith("SLIPWAY_")}
    known = {f"SLIPWAY_{field.upper()}" for field in Settings.model_fields}
    assert ours <= known, "a variable that nobody reads"


@pytest.fixture(autouse=True)
def log_handlers_are_put_back() -> Iterator[None]:
    import logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_every_setting_can_be_set_by_a_value(helm: Helm) -> None:
    names: set[str] = set()
    for values in MATRIX.values():
        names |= {entry["name"] for entry in container(helm.template(values))["env"]}
    missing = {f"SLIPWAY_{field.upper()}" for field in Settings.model_fields if field not in NOT_OF_THE_CHART} - names
    assert missing == set()


def test_values_reach_the_operator_as_they_were_meant(helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**MATRIX["all that pods are told"], "watchNamespaces": ["team-a", "team-b"], "operator": {"resyncSeconds": 7.5}}
    for name, value in environment(helm.template(values)).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert [(grant.from_, grant.to) for grant in settings.read_grants] == [("team-a", "shared"), ("team-b", "shared")]
    assert settings.insecure_registries == ("registry.local:5000", "10.0.0.1:5000")
    assert settings.trusted_types == ("my.Estimator", "sklearn.tree._tree.Tree")
    assert (settings.node_cache_path, settings.node_cache_size) == ("/var/lib/slipway/models", "50Gi")
    assert settings.node_cache_namespaces == ("team-a", "team-b")
    assert settings.watch_namespaces == ("team-a", "team-b")
    assert settings.resync_seconds == 7.5


def test_the_web_service_reads_the_bucket_and_nothing_else(helm: Helm) -> None:
    assert not [each for each in helm.template() if each["metadata"]["name"] == "slipway-web"], "off by default"
    objects = helm.template(MATRIX["proof, pages and lineage"])
    pod = the(objects, "Deployment", "slipway-web")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "reader"}}]
    assert "--namespace=team-a" in pod["containers"][0]["args"]
    bound = [each for each in objects if each["kind"].endswith("RoleBinding")]
    assert "slipway-web" not in json.dumps(bound)


def test_keys_reach_the_operator_as_a_file_and_as_text(helm: Helm) -> None:
    objects = helm.template(MATRIX["proof, pages and lineage"])
    given = environment(objects)
    mount = next(m for m in container(objects)["volumeMounts"] if m["name"] == "signing-key")
    assert given["SLIPWAY_SIGNING_KEY"] == f"{mount['mountPath']}/key.pem"
    assert mount["readOnly"] is True
    assert given["SLIPWAY_PUBLIC_KEYS"].startswith("-----BEGIN PUBLIC KEY-----")


def test_new_keys_start_a_new_pod(helm: Helm) -> None:
    def checksum(secret: str) -> object:
        objects = helm.template({"store": {"accessKey": "a", "secretKey": secret}})
        return the(objects, "Deployment", "slipway")["spec"]["template"]["metadata"]["annotations"]["slipway.dev/store-checksum"]

    assert checksum("one") == checksum("one") != checksum("two")


def test_no_secret_lies_outside_of_secrets(helm: Helm) -> None:
    for each in helm.template(
        {**MATRIX["a trial with everything inside"], "store": {"accessKey": "kkeeyy", "secretKey": "hushhush"}}
    ):
        if each["kind"] != "Secret":
            assert "hushhush" not in json.dumps(each)
            assert "kkeeyy" not in json.dumps(each)


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path


def test_the_schema_knows_every_value_and_every_value_is_in_the_file() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def named(node: Any, path: str = "") -> Iterator[str]:
        for name, inner in node.get("properties", {}).items():
            here = f"{path}.{name}" if path else name
            yield here
            yield from named(inner, here)

    free_form = {"operator.resources", "web.resources", "embedded.seaweedfs.resources", "embedded.registry.resources"}

    def schema_leaves() -> set[str]:
        paths = set(named(schema))
        return {path for path in paths if not any(other.startswith(f"{path}.") for other in paths)}

    def tidy(paths: set[str]) -> set[str]:
        return {next((free for free in free_form if path.startswith(free)), path) for path in paths}

    assert tidy(schema_leaves()) - {"global"} == tidy(set(leaves(values)))
