"""A command line over a registry in a folder and the API server in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from slipway.cli import connection
from slipway.cli.main import app
from slipway.kube.port import Kube
from slipway.registry.registry import Registry
from tests.integration.cli.helpers import Cli, Cluster


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry in a folder."""
    return Registry.open(f"file://{tmp_path}/registry")


@pytest.fixture
def api() -> Cluster:
    return Cluster(namespaces=("default", "team"))


@pytest.fixture
def cli(registry: Registry, api: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs ``slipway …`` and gives what a user would see. No cluster is configured but the one in memory."""

    @asynccontextmanager
    async def connect(_kubeconfig: str | None, _context: str | None) -> AsyncIterator[Kube]:
        yield api

    monkeypatch.setattr(connection, "connect", connect)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("SLIPWAY_REGISTRY", registry.store.uri)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")

    def run(*words: str, **env: str | None) -> Result:
        result = CliRunner().invoke(app, list(words), env=env, prog_name="slipway")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.stderr
        return result

    return run
