"""Finding the cluster: a kubeconfig that is not right is told in words, never by a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from slipway.kube.client import KubeClient
from slipway.kube.config import NoClusterError, connection, load

USER = {"token": "secret-token"}


def write(path: Path, **changes: object) -> Path:
    config: dict[str, object] = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:6443", "insecure-skip-tls-verify": True}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "nobody", "context": {"cluster": "c"}},
        ],
        "users": [{"name": "u", "user": USER}],
        **changes,
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_kubeconfig_is_taken_apart(tmp_path: Path) -> None:
    found = connection(load(write(tmp_path / "config")))
    assert (found.server, found.namespace, found.token) == ("https://127.0.0.1:6443", "team", "secret-token")
    assert found.insecure
    assert "secret-token" not in repr(found)


def test_relative_certificates_are_next_to_the_kubeconfig(tmp_path: Path) -> None:
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    found = connection(load(write(tmp_path / "config", users=[{"name": "u", "user": user}])))
    assert found.certificate_path == str(tmp_path / "me.crt")
    assert found.private_key_path == str(tmp_path / "me.key")


def test_a_rotated_token_is_read_anew(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    config = load(write(tmp_path / "config", users=[{"name": "u", "user": {"tokenFile": str(token)}}]))
    assert connection(config).token == "first"
    token.write_text("second")
    assert connection(config).token == "second"


def test_no_file_and_wrong_contexts_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoClusterError, match="KUBECONFIG"):
        load(tmp_path / "nothing")
    config = write(tmp_path / "config")
    with pytest.raises(NoClusterError, match="elsewhere"):
        load(config, "elsewhere")
    with pytest.raises(NoClusterError, match="user"):
        load(config, "nobody")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "clusters: 7",
        "{}",
        "clusters: []\ncontexts: []",
        "a: [",
        "clusters: [{name: c, cluster: 5}]\ncontexts: []",
    ],
)
def test_files_that_are_no_kubeconfig_are_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(NoClusterError):
        load(path)


def test_a_login_by_plugin_is_told_where_it_cannot_be_run(tmp_path: Path) -> None:
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws"}}
    config = load(write(tmp_path / "config", users=[{"name": "u", "user": plugin}]))
    with pytest.raises(NoClusterError, match="aws"):
        connection(config)


async def test_certificates_that_are_missing_are_told(tmp_path: Path) -> None:
    user = {"client-certificate": "no.crt", "client-key": "no.key"}
    with pytest.raises(NoClusterError, match="credentials"):
        KubeClient.connect(kubeconfig=write(tmp_path / "config", users=[{"name": "u", "user": user}]))
