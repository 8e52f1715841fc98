"""Bringing the bare cluster up, repairing it, and looking at it."""

from __future__ import annotations

import fcntl
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from local import binaries, pki, preflight, stores
from local.bare import files, layout
from local.bare.cgroups import Cgroups
from local.bare.commands import Command, all_commands
from local.bare.containers import Containers
from local.bare.daemons import Daemons, write_if_different
from local.bare.host import Host
from local.bare.layout import DAEMONS, NODE_IP, Layout
from local.bare.network import ENTER, Network
from local.bare.teardown import Teardown
from local.binaries import PAUSE_IMAGE, Binaries
from local.components import NODE
from local.errors import LocalError, WaitTimeout
from local.info import ClusterInfo, Part, Status, absolute
from local.probe import Api, http_ok, tail, wait_until
from local.progress import Progress
from local.settings import Settings

API_URL = f"https://{NODE_IP}:{layout.API_PORT}"
S3_URL = f"http://{NODE_IP}:{stores.WeedPorts().s3}"
_READY_WITHIN = 90.0


class BareProvider:
    """A whole Kubernetes without Docker: see the module :mod:`local.bare.layout` for its shape."""

    name = "bare"

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self._layout = Layout(settings.state)
        self._daemons = Daemons(self._layout.log, ENTER)
        self._network, self._containers = Network(), Containers(self._layout)

    def up(self) -> ClusterInfo:
        """Start, or repair, and wait until node, DNS, storage and registry answer.

        Raises PreflightError if this machine cannot run it, WaitTimeout with the last words of the part that did not come up.
        """
        with self._lock():
            if not self._healthy():
                preflight.check(self._settings, self._progress)
                programs = binaries.ensure(self._settings, self._progress)
                self._sweep_strays()
                self._prepare(programs)
                self._start_or_repair(all_commands(self._layout, programs), programs)
        return self.info()

    def down(self, *, purge: bool = False) -> None:
        """End everything and put the host back as it was; with `purge`, remove the state too (not the built programs)."""
        with self._lock():
            teardown = Teardown(self._layout, self._daemons, self._progress)
            if teardown.anything_left():
                preflight.need_root("taking the cluster down")
            teardown.stop()
            if purge:
                teardown.purge()

    def status(self) -> Status:
        """One part per daemon, and one each for network, API, node and DNS."""
        checks: dict[str, Callable[[], bool]] = {"network": self._network.complete, **self._answers()}
        parts = [
            Part(name, (pid := self._daemons.pid(name)) is not None, f"pid {pid}" if pid else "not running") for name in DAEMONS
        ]
        parts += [Part(name, check()) for name, check in checks.items()]
        if not self._network.exists() and not any(self._daemons.pid(name) for name in DAEMONS):
            parts = []
        return Status(self.name, tuple(parts))

    def info(self) -> ClusterInfo:
        """Describe the cluster. Raises LocalError if it was never brought up."""
        programs = binaries.present(self._settings)
        if programs is None or not self._layout.admin.exists() or not self._layout.credentials.exists():
            raise LocalError("there is no cluster: `python -m local up` makes one")
        keys = json.loads(self._layout.credentials.read_text())
        return ClusterInfo(
            provider=self.name,
            kubeconfig=absolute(self._layout.admin),
            context="slipway",
            registry=layout.REGISTRY,
            registry_in_cluster=layout.REGISTRY,
            s3_endpoint=S3_URL,
            s3_endpoint_in_cluster=S3_URL,
            s3_region=stores.REGION,
            s3_access_key=keys["access_key"],
            s3_secret_key=keys["secret_key"],
            buckets=layout.BUCKETS,
            kubectl=programs.component("kubectl"),
            helm=str(programs.helm),
        )

    def log(self, component: str) -> str:
        """All output of a daemon. Raises LocalError for an unknown name."""
        if component not in DAEMONS:
            raise LocalError(f"no component {component!r}; there are: {', '.join(DAEMONS)}")
        return tail(self._daemons.log(component), lines=10**9)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self._settings.cache.mkdir(parents=True, exist_ok=True)
        with (self._settings.cache / ".cluster.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with self._progress.step("waiting for another command that changes the cluster"):
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _healthy(self) -> bool:
        """Whether everything runs as a fresh :meth:`up` would start it, and answers."""
        programs = binaries.present(self._settings)
        if programs is None or not self._complete_pki() or self._daemons.ended(DAEMONS):
            return False
        try:
            commands = all_commands(self._layout, programs)
        except LocalError:
            return False
        if not all(self._daemons.current(name, command.argv, command.files) for name, command in commands.items()):
            return False
        return self._files_current() and self._network.complete() and all(check() for check in self._answers().values())

    def _answers(self) -> dict[str, Callable[[], bool]]:
        return {
            "API answers": lambda: self._ask(lambda api: api.ready()),
            "node is ready": lambda: self._ask(lambda api: node_ready(api, since="")),
            "DNS answers": lambda: http_ok(f"http://{NODE_IP}:{layout.DNS_READY_PORT}/ready"),
            "Services are routed": lambda: http_ok(f"http://{NODE_IP}:{layout.PROXY_HEALTH_PORT}/healthz"),
            "S3 answers": lambda: http_ok(S3_URL, expect=403),
            "registry answers": lambda: http_ok(f"http://{layout.REGISTRY}/v2/"),
        }

    def _ask(self, question: Callable[[Api], bool]) -> bool:
        if not self._layout.pki.certificate("admin").exists():
            return False
        api = self._api()
        try:
            return question(api)
        finally:
            api.close()

    def _api(self) -> Api:
        certificates = self._layout.pki
        return Api(API_URL, certificates.certificate("ca"), certificates.certificate("admin"), certificates.key("admin"))

    def _complete_pki(self) -> bool:
        return pki.complete(self._layout.pki.folder, list(files.AUTHORITIES), files.leaves())

    def _sweep_strays(self) -> None:
        # The folder was deleted under a running cluster: its processes hold ports and mounts of the new one.
        if not self._complete_pki() and (self._network.pids() or self._containers.shims()):
            self._progress.say("processes of a cluster whose files are gone: ending them")
            Teardown(self._layout, self._daemons, self._progress).stop()

    def _prepare(self, programs: Binaries) -> None:
        """Files, network and groups; whatever is right already stays as it is."""
        self._layout.make_folders()
        if not self._complete_pki():
            with self._progress.step("certificates"):
                pki.make(self._layout.pki.folder, files.AUTHORITIES, files.leaves())
        if not self._layout.credentials.exists() or not self._layout.credentials.read_text():
            keys = {"access_key": "AK" + secrets.token_hex(8).upper(), "secret_key": secrets.token_urlsafe(30)}
            write_if_different(self._layout.credentials, json.dumps({**keys, "registry_secret": secrets.token_hex(16)}), 0o600)
        for path, text, mode in files.everything(self._layout, API_URL):
            write_if_different(path, text, mode)
        host = Host(self._layout)
        host.remember()
        if not Cgroups().exists():
            Cgroups().up()
        if not self._network.complete():
            with self._progress.step("network namespace"):
                self._network.up()

    def _files_current(self) -> bool:
        try:
            return all(path.read_text() == text for path, text, _ in files.everything(self._layout, API_URL))
        except (OSError, ValueError):
            return False

    def _start_or_repair(self, commands: dict[str, Command], programs: Binaries) -> None:
        inherited = [name for name in DAEMONS if self._daemons.pid(name)]
        try:
            self._start(commands, programs)
        except WaitTimeout:
            # What was alive when we looked may have been on its way out: a process takes a while to die of SIGKILL.
            ended = self._daemons.ended(inherited)
            if ended is None:
                raise
            self._progress.say(f"{ended} was running and ended meanwhile; starting it again")
            self._start(commands, programs)

    def _start(self, commands: dict[str, Command], programs: Binaries) -> None:
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kubelet_lived = self._daemons.pid("kubelet") is not None
        started = {
            name for name in ("containerd", "etcd", "kube-apiserver", "seaweedfs", "registry") if self._run(name, commands)
        }
        with self._progress.step("API server answers"):
            self._api_ready(commands, etcd_started="etcd" in started)
        for name in ("kube-controller-manager", "kube-scheduler"):
            self._run(name, commands)
        self._wait("containerd answers", self._containers.answers, "containerd")
        if PAUSE_IMAGE not in self._containers.images():
            self._containers.import_archive(programs.pause_archive)
        for name in ("kubelet", "kube-proxy"):
            self._run(name, commands)
        api = self._api()
        try:
            for path, manifest in files.dns_rbac().items():
                api.apply(path, json.dumps(manifest), manager="slipway-local")
            self._run("coredns", commands)
            since = "" if kubelet_lived and self._daemons.pid("kubelet") else began
            with self._progress.step("node is ready"):
                self._wait("the node is ready", lambda: node_ready(api, since), "kubelet")
            with self._progress.step("DNS, storage and registry answer"):
                answers = self._answers()
                for question, log in (
                    ("DNS answers", "coredns"),
                    ("Services are routed", "kube-proxy"),
                    ("S3 answers", "seaweedfs"),
                    ("registry answers", "registry"),
                ):
                    self._wait(question, answers[question], log)
                account = "/api/v1/namespaces/default/serviceaccounts/default"
                self._wait("the default service account exists", lambda: api.ok(account), "kube-controller-manager")
        finally:
            api.close()

    def _run(self, name: str, commands: dict[str, Command]) -> bool:
        command = commands[name]
        return self._daemons.start(name, command.argv, files=command.files, env=command.environment)

    def _api_ready(self, commands: dict[str, Command], *, etcd_started: bool) -> None:
        try:
            self._wait("the API server is ready", lambda: self._ask(lambda api: api.ready()), "kube-apiserver", "etcd")
        except WaitTimeout:
            # An etcd that ran before us and ended has said nothing about its data: it is started again first.
            if not etcd_started or self._daemons.pid("etcd") is not None:
                raise
            # It does not wait for the disk, so a power cut can leave it with data it cannot read.
            lost = self._layout.etcd.with_name("etcd.unreadable")
            self._progress.say(
                f"etcd cannot read its data any more ({tail(self._daemons.log('etcd'), 1)[:200]}); kept as {lost}. Starting empty"
            )
            self._daemons.stop(["kube-apiserver"], kill=True)
            if lost.exists():
                shutil.rmtree(lost)
            self._layout.etcd.rename(lost)
            self._layout.make_folders()
            for name in ("etcd", "kube-apiserver"):
                self._run(name, commands)
            self._wait("the API server is ready", lambda: self._ask(lambda api: api.ready()), "kube-apiserver", "etcd")

    def _wait(self, what: str, fact: Callable[[], bool], *daemons: str) -> None:
        def ended() -> str | None:
            name = self._daemons.ended(daemons)
            return f"{name} ended. Its last words:\n{tail(self._daemons.log(name))}" if name else None

        wait_until(what, fact, seconds=_READY_WITHIN, give_up=ended, log=self._daemons.log(daemons[0]))


def node_ready(api: Api, since: str) -> bool:
    """Whether the node is Ready by a heartbeat not older than `since` (RFC 3339; empty: any).

    The conditions stay in etcd: without that, a node of yesterday would do.
    """
    node = api.get(f"/api/v1/nodes/{NODE}")
    status = node.get("status") if node else None
    conditions = status.get("conditions") if isinstance(status, dict) else None
    for condition in conditions or []:
        if condition.get("type") == "Ready":
            return condition.get("status") == "True" and str(condition.get("lastHeartbeatTime", "")) >= since
    return False
