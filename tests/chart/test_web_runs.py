"""The rendered web Deployment, started: its very command, arguments and environment, as a process with a read-only login."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from local.probe import http_ok, wait_until
from slipway.registry import Registry
from slipway.registry.records import VersionDraft
from slipway.storage import open_store
from tests.chart.helm import ROOT, Helm, Object, the
from tests.fakes.store_fixtures import seaweed
from tests.fakes.stores import BUCKET, READER, Weed, unused_port

__all__ = ["seaweed"]


@pytest.fixture
def registry(seaweed: Weed) -> Registry:
    """Two versions of a model, of which the second is the champion, written with all rights."""
    made = Registry(open_store(f"s3://{BUCKET}/{uuid4()}", seaweed.options()))
    for number in (1, 2):
        file = made.blobs.put_bytes(f"weights {number}".encode(), path="model.onnx")
        build = "sha256:" + sha256(str(number).encode()).hexdigest()
        made.register(
            VersionDraft(model="team-a/m", build_id=build, reason="t", files=(file,), format="onnx", metrics={"auc": 0.9})
        )
    made.move_alias("team-a/m", "champion", 2, by="x")
    return made


@pytest.fixture
def deployed(helm: Helm, seaweed: Weed, registry: Registry) -> list[Object]:
    return helm.template(
        {
            "registry": {"uri": registry.store.uri},
            "store": {"endpoint": seaweed.endpoint, "region": "us-east-1"},
            "web": {"enabled": True, "namespace": "team-a", "storeSecret": "reader"},
        }
    )


@pytest.fixture
def address(deployed: list[Object], tmp_path: Path) -> Iterator[str]:
    """Starts the container. Of what the chart says only the port is another one: somebody may have this one already."""
    (container,) = the(deployed, "Deployment", "slipway-web")["spec"]["template"]["spec"]["containers"]
    (listens,) = container["ports"]
    assert f"--port={listens['containerPort']}" in container["args"]
    port = unused_port()
    words = [*container["command"], *container["args"]]
    words = [f"--port={port}" if word.startswith("--port=") else word for word in words]
    assert words[0] == "python"
    assert container["envFrom"] == [{"secretRef": {"name": "reader"}}]
    environment = {entry["name"]: entry["value"] for entry in container["env"]} | dict(
        zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), READER, strict=True)
    )
    # What the image brings along: Python with the package.
    environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "operator"), "HOME": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, *words[1:]], env=environment, cwd="/", stdout=log, stderr=log)
    try:
        found = f"http://127.0.0.1:{port}"
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = container[name]["httpGet"]["path"]
            wait_until(
                f"the {name} passes",
                lambda path=path: http_ok(f"{found}{path}"),  # type: ignore[misc]
                seconds=120,
                give_up=lambda: f"exit code {process.poll()}" if process.poll() is not None else None,
                log=tmp_path / "log",
            )
        yield found
        process.terminate()
        assert process.wait(60) == 0, "the pod ends well when it is told to"
    finally:
        process.kill()


def test_the_web_pod_serves_pages_and_mlflow_with_a_login_that_may_only_read(address: str, deployed: list[Object]) -> None:
    page = httpx.get(f"{address}/models/team-a/m", timeout=60)
    assert page.status_code == 200
    assert "champion" in page.text
    api = f"{address}/api/2.0/mlflow/registered-models"
    found = httpx.get(f"{api}/alias", params={"name": "m", "alias": "champion"}, timeout=60).json()
    assert found["model_version"]["version"] == "2", json.dumps(found)
    refused = httpx.post(f"{api}/alias", json={"name": "m", "alias": "champion", "version": "1"}, timeout=60)
    assert refused.json()["error_code"] == "PERMISSION_DENIED"
    service = the(deployed, "Service", "slipway-web")["spec"]
    pod = the(deployed, "Deployment", "slipway-web")["spec"]["template"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items(), "the Service finds the pod"
    assert [port["targetPort"] for port in service["ports"]] == [pod["spec"]["containers"][0]["ports"][0]["name"]]
