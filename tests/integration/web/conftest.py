"""The service as a process over a registry in a folder, a browser, and MLflow's real client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from local.browser import need_chromium
from local.mlflow import need_mlflow
from local.settings import read
from slipway.registry.registry import Registry
from slipway.storage import open_store
from slipway.web.app import application
from slipway.web.settings import WebOptions
from tests.integration.web import feature_sample
from tests.integration.web.sample import Sample

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The sample registry; nobody writes to it after this."""
    made = Sample(open_store(f"file://{tmp_path_factory.mktemp('registry')}")).fill()
    feature_sample.fill(made.store, made.now)
    return made


@pytest.fixture(scope="session")
def registry(filled: Sample) -> Registry:
    return filled.registry


@pytest.fixture(scope="session")
def client(registry: Registry) -> Iterator[TestClient]:
    """The service in this process."""
    with TestClient(application(registry, WebOptions()), follow_redirects=False) as made:
        yield made


def start(registry: Registry, *options: str) -> tuple[subprocess.Popen[str], str]:
    """``slipway web`` on a free port: the process, and its address without a slash at the end."""
    words = [sys.executable, "-m", "slipway.cli", "web", "--registry", registry.store.uri, "--port", "0", "-n", "default"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": "/nonexistent"}
    process = subprocess.Popen([*words, *options], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    address = process.stdout.readline().strip().rstrip("/")
    assert address.startswith("http://"), f"the service did not start: {address!r}, exit code {process.poll()}"
    return process, address


@pytest.fixture(scope="session")
def service(registry: Registry) -> Iterator[str]:
    """The address of the service as a process."""
    process, address = start(registry)
    yield address
    process.terminate()
    assert process.wait(20) == 0, "the service ends well when it is told to"


@pytest.fixture(scope="session")
def chromium() -> Path:
    return need_chromium()


@pytest.fixture(scope="session")
def mlflow() -> Path:
    """The Python of an environment with MLflow."""
    return need_mlflow(read())
