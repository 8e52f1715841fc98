"""A real API server for integration tests: etcd and kube-apiserver on free loopback ports, without root and without a node.

    with ControlPlane() as api:
        run(["kubectl", "--kubeconfig", str(api.kubeconfig), "get", "namespaces"])

Any number may run, beside each other and beside a whole cluster. Everything ends with the process that made it, even if that is
killed. Each costs about 400 MB of memory, 540 MB with the controller manager.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from local import binaries, components, pki, settings
from local.components import Etcd
from local.ports import Ports
from local.probe import Api, wait_until
from local.progress import Progress
from local.supervisor import Supervisor

_LOOPBACK = "127.0.0.1"


class ControlPlane:
    """An API server from an empty etcd, ready when :meth:`start` returns or the ``with`` block is entered.

    Without the controller manager nothing acts on what is written: no Jobs are run, nothing is garbage-collected, namespaces stay
    Terminating, and there are no default service accounts (pods are admitted all the same). With it, all of that works, but there
    is never a node that would run a pod; `scheduler` is for those who bring nodes (kwok's, in benchmarks).
    """

    def __init__(
        self,
        *,
        controller_manager: bool = False,
        scheduler: bool = False,
        apiserver_flags: Sequence[str] = (),
        ready_within: float = 60.0,
    ) -> None:
        self._with_scheduler = scheduler
        self._with_controllers = controller_manager
        self._flags = tuple(apiserver_flags)
        self._ready_within = ready_within
        self._supervisor: Supervisor | None = None
        self._ports = Ports()
        self._commands: dict[str, list[str]] = {}
        self.seconds = 0.0
        """How long the start took."""

    def start(self) -> Self:
        """Start everything and wait until it is ready.

        Builds the Kubernetes binary first if it is not in the cache yet (minutes, once). Raises WaitTimeout with the log's last
        lines if a part does not come up.
        """
        folder = binaries.ensure_kubernetes(settings.read(), Progress())
        begin = time.monotonic()
        self._supervisor = Supervisor("slipway-api-")
        try:
            self._prepare(folder)
            for name in self._commands:
                self._supervisor.spawn(name, self._commands[name])
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        self.seconds = time.monotonic() - begin
        return self

    def close(self) -> None:
        """End everything and remove its files. Can be repeated."""
        if self._supervisor is not None:
            self._supervisor.close()
        self._ports.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """Temporary folder with all files."""
        return self._running.folder

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of a cluster admin."""
        return self.folder / "admin.conf"

    @property
    def url(self) -> str:
        """URL of the API server."""
        return f"https://{_LOOPBACK}:{self._port}"

    def log(self, component: str) -> str:
        """The output of ``etcd``, ``kube-apiserver`` or ``kube-controller-manager`` so far."""
        return self._running.log(component).read_text(errors="replace")

    def stop_component(self, component: str) -> None:
        """Kill one part, as a crash would. The rest stays."""
        self._running.stop(component, kill=True)

    def start_component(self, component: str) -> None:
        """Start a part again on its old port and data, and wait until the API server is ready."""
        self._running.spawn(component, self._commands[component])
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the API server is ready, and the default service account exists if there is a controller manager."""
        certificates = pki.Pki(self.folder / "pki")
        api = Api(self.url, certificates.certificate("ca"), certificates.certificate("admin"), certificates.key("admin"))
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        try:
            wait_until(
                "the API server is ready",
                lambda: api.ready() and (not self._with_controllers or api.ok(path)),
                seconds=self._ready_within,
                give_up=lambda: self._running.ended(*self._commands),
                log=self._running.log("kube-apiserver"),
            )
        finally:
            api.close()

    @property
    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("the control plane is not started")
        return self._supervisor

    def _prepare(self, programs: Path) -> None:
        etcd, self._port = Etcd(self._ports.take(), self._ports.take()), self._ports.take()
        leaves = components.control_plane_leaves((_LOOPBACK,))
        certificates = pki.make(self.folder / "pki", components.AUTHORITIES, leaves)
        self.kubeconfig.write_text(certificates.kubeconfig("admin", self.url))
        self.kubeconfig.chmod(0o600)
        # A loopback address is not allowed in the endpoints of the service `kubernetes`.
        flags = ["--authorization-mode=RBAC", "--endpoint-reconciler-type=none", *self._flags]
        if not self._with_controllers:
            # Nobody makes default service accounts then, and this plugin would refuse every pod.
            flags.append("--disable-admission-plugins=ServiceAccount")
        self._commands = {
            "etcd": components.etcd(str(programs / "etcd"), certificates, self.folder / "etcd", etcd),
            "kube-apiserver": components.kube_apiserver(
                str(programs / "kube-apiserver"), certificates, etcd, _LOOPBACK, self._port, *flags
            ),
        }
        if self._with_controllers:
            config = self.folder / "controller-manager.conf"
            config.write_text(certificates.kubeconfig("controller-manager", self.url))
            self._commands["kube-controller-manager"] = components.kube_controller_manager(
                str(programs / "kube-controller-manager"), certificates, config, "--secure-port=0"
            )
        if self._with_scheduler:
            self._commands["kube-scheduler"] = components.kube_scheduler(
                str(programs / "kube-scheduler"), self.kubeconfig, "--secure-port=0"
            )
