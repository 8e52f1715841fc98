"""Argo CD beside a cluster: its application controller and repo server as processes of this machine.

    with ArgoCD(kubectl, kubeconfig, helm, progress) as argo:
        argo.apply(application)  # its repoURL is file:///…
        argo.refresh("models")   # asks Git now, as a webhook would

The programs are built from Argo CD's own Go module (``local/argo``). There is no API server and no pages: ``kubectl get
applications`` says what they would. The kinds and the namespace ``argocd`` are gone again at the end, what was synced stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local import binaries
from local import settings as local_settings
from local.ports import Ports
from local.probe import http_ok, wait_until
from local.progress import Progress
from local.settings import daemon_environment
from local.shell import run
from local.supervisor import Supervisor

NAMESPACE = "argocd"
IN_CLUSTER = "https://kubernetes.default.svc"
"""The destination that Applications name for the cluster that Argo CD is for."""
REFRESH = "argocd.argoproj.io/refresh"


class ArgoCD:
    """Controller, repo server and Redis, as long as the ``with`` block lasts.

    `kubectl` is the program and its options, `settings` goes on top of Argo CD's own ``argocd-cm``.
    """

    def __init__(
        self, kubectl: Sequence[str], kubeconfig: Path | str, helm: Path | str, progress: Progress, settings: dict[str, str]
    ) -> None:
        self.programs = binaries.ensure_argo(local_settings.read(), progress)
        self._kubectl_argv = [*kubectl]
        self._kubeconfig = str(kubeconfig)
        self._helm = Path(helm)
        self._settings = settings
        self._ports = Ports()
        self._supervisor = Supervisor("slipway-argocd-")

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._supervisor.close()
        self._ports.close()
        self._forget()

    def apply(self, manifest: dict[str, Any]) -> None:
        """Server-side apply in Argo CD's namespace."""
        # not as kubectl: what Argo CD's own manifests set beside it stays, such as the labels by which Argo CD looks for them
        words = ("apply", "-n", NAMESPACE, "--server-side", "--force-conflicts", "--field-manager=slipway-local", "-f", "-")
        self._kubectl(*words, stdin=json.dumps(manifest))

    def refresh(self, application: str) -> None:
        """Has Git asked for new commits now; without that it is minutes."""
        self._kubectl("annotate", "--overwrite", "-n", NAMESPACE, f"application/{application}", f"{REFRESH}=hard")

    def log(self, name: str = "controller") -> Path:
        """The file with what one of ``controller``, ``repo-server`` and ``redis`` said."""
        return self._supervisor.log(name)

    def _prepare(self) -> None:
        crds = str(self.programs / "crds")
        self._kubectl("apply", "--server-side", "--force-conflicts", "-f", crds)
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self._kubectl("apply", "-n", NAMESPACE, "--server-side", "--force-conflicts", "-f", str(self.programs / "config"))
        core = {"apiVersion": "v1"}
        # without a key every Application says "server.secretkey is missing"
        self.apply(core | {"kind": "Secret", "metadata": {"name": "argocd-secret"}, "stringData": {"server.secretkey": "none"}})
        self.apply(core | {"kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": self._settings})
        self._kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", crds)
        self.apply(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": "default"},
                "spec": {
                    "sourceRepos": ["*"],
                    "destinations": [{"namespace": "*", "server": "*"}],
                    "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
                },
            }
        )

    def _start(self) -> None:
        home = self._supervisor.folder
        for name in ("tls", "ssh", "gpg", "bin"):
            (home / name).mkdir()
        # Argo CD calls its helpers by name
        for name in ("kustomize", "argocd"):
            (home / "bin" / name).symlink_to(self.programs / name)
        (home / "bin" / "helm").symlink_to(self._helm)
        redis, repo, repo_metrics, metrics = (self._ports.take() for _ in range(4))
        environment = daemon_environment(
            HOME=str(home),
            ARGOCD_FAKE_IN_CLUSTER="true",
            ARGOCD_GPG_ENABLED="false",
            ARGOCD_TLS_DATA_PATH=str(home / "tls"),
            ARGOCD_SSH_DATA_PATH=str(home / "ssh"),
            GNUPGHOME=str(home / "gpg"),
            KUBECONFIG=self._kubeconfig,
        )
        environment["PATH"] = f"{home / 'bin'}{os.pathsep}{environment['PATH']}"
        cache = f"--redis=127.0.0.1:{redis}"
        self._spawn("redis", environment, "redis", f"127.0.0.1:{redis}")
        self._spawn(
            "repo-server", environment, "argocd-repo-server", cache, "--disable-tls", "--logformat=text",
            "--address=127.0.0.1", f"--port={repo}", "--metrics-address=127.0.0.1", f"--metrics-port={repo_metrics}",
        )  # fmt: skip
        self._spawn(
            "controller", environment, "argocd-application-controller", cache, "--repo-server-plaintext", "--logformat=text",
            f"--kubeconfig={self._kubeconfig}", f"--namespace={NAMESPACE}", f"--repo-server=127.0.0.1:{repo}",
            f"--metrics-port={metrics}", "--app-resync=10", "--app-resync-jitter=0",
        )  # fmt: skip
        wait_until(
            "Argo CD's controller is well",
            lambda: http_ok(f"http://127.0.0.1:{metrics}/healthz"),
            seconds=90.0,
            every=0.2,
            give_up=lambda: self._supervisor.ended("controller", "repo-server", "redis"),
            log=self._supervisor.log("controller"),
        )

    def _forget(self) -> None:
        """Applications go without what they brought: nobody is there to take it away."""
        ours = self._kubectl("get", "applications", "-n", NAMESPACE, "-o", "name", "--ignore-not-found", check=False).split()
        for name in ours:
            self._kubectl("patch", "-n", NAMESPACE, name, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        for words in (("-f", str(self.programs / "crds")), ("namespace", NAMESPACE)):
            self._kubectl("delete", "--ignore-not-found", "--wait=false", *words)

    def _spawn(self, name: str, environment: dict[str, str], program: str, *words: str) -> None:
        self._supervisor.spawn(name, [str(self.programs / program), *words], environment)

    def _kubectl(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        return run([*self._kubectl_argv, *words], stdin=stdin, check=check)
