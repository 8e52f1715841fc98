"""A cluster in Docker by kind, with an image registry and SeaweedFS as containers beside it.

The registry is wired as kind's own recipe says (https://kind.sigs.k8s.io/docs/user/local-registry/): a container on kind's
network, and a hosts.toml on each node that says it speaks plain http. Its name on that network is used in image references,
since pods that push images reach it by that name too.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

from local import stores
from local.errors import CommandError, LocalError, PreflightError
from local.info import ClusterInfo, Part, Status, absolute
from local.probe import http_ok, wait_until
from local.progress import Progress
from local.settings import CLUSTER_NAME, Settings
from local.shell import Runner, run
from local.stores import WeedPorts
from local.tools import need_all

REGISTRY, S3 = "slipway-registry", "slipway-s3"
"""Names of the containers, and by that their host names on kind's network."""
REGISTRY_PORT, HOST_REGISTRY_PORT = 5000, 5001
NETWORK = "kind"
BUCKETS = (CLUSTER_NAME, "data")
_CERTS = "/etc/containerd/certs.d"
_CONFIG = f"""kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
containerdConfigPatches:
  - |-
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "{_CERTS}"
"""


class KindProvider:
    """One node, named like the bare cluster. Everything can be repeated."""

    name = "kind"

    def __init__(self, settings: Settings, progress: Progress, runner: Runner = run) -> None:
        self._settings, self._progress, self._run = settings, progress, runner
        self._folder = settings.cache / "kind"
        self._s3_port = WeedPorts().s3

    def up(self) -> ClusterInfo:
        """Make the cluster and the two containers, or start what is there. Raises PreflightError without Docker or kind."""
        self._tools()
        self._docker_answers()
        self._folder.mkdir(parents=True, exist_ok=True)
        if CLUSTER_NAME not in self._kind("get", "clusters").split():
            with self._progress.step("kind create cluster (first time: it pulls the node's image)"):
                self._kind("create", "cluster", "--name", CLUSTER_NAME, "--wait", "120s", "--config", "-", stdin=_CONFIG)
        self._kubeconfig().write_text(self._kind("get", "kubeconfig", "--name", CLUSTER_NAME))
        self._kubeconfig().chmod(0o600)
        registry_port = f"127.0.0.1:{HOST_REGISTRY_PORT}:{REGISTRY_PORT}"
        self._container(REGISTRY, self._settings.registry_image, ["-p", registry_port], [])
        self._nodes_know_registry()
        self._seaweedfs()
        with self._progress.step("storage and registry answer"):
            wait_until("the registry answers", lambda: http_ok(f"http://127.0.0.1:{HOST_REGISTRY_PORT}/v2/"), seconds=60)
            wait_until("S3 answers", lambda: http_ok(f"http://127.0.0.1:{self._s3_port}", expect=403), seconds=60)
        return self.info()

    def down(self, *, purge: bool = False) -> None:
        """Delete cluster and containers; with `purge` the kubeconfig and the keys too. Images stay in Docker."""
        self._tools()
        with self._progress.step("kind delete cluster"):
            self._kind("delete", "cluster", "--name", CLUSTER_NAME)
        for name in (REGISTRY, S3):
            self._docker("rm", "--force", "--volumes", name, check=False)
        if purge:
            for path in (self._kubeconfig(), self._keys(), self._folder / "s3.json"):
                path.unlink(missing_ok=True)

    def status(self) -> Status:
        """One part each for the node and the two containers."""
        self._tools()
        if CLUSTER_NAME not in self._kind("get", "clusters").split():
            return Status(self.name, ())
        names = {"node": f"{CLUSTER_NAME}-control-plane", "registry": REGISTRY, "s3": S3}
        states = {part: self._state(name) for part, name in names.items()}
        return Status(self.name, tuple(Part(part, state == "running", state or "not there") for part, state in states.items()))

    def info(self) -> ClusterInfo:
        """Describe the cluster. Raises LocalError if it was never brought up."""
        tools = self._tools()
        if not self._kubeconfig().exists() or not self._keys().exists():
            raise LocalError("there is no cluster: `make up CLUSTER=kind` makes one")
        keys = json.loads(self._keys().read_text())
        return ClusterInfo(
            provider=self.name,
            kubeconfig=absolute(self._kubeconfig()),
            context=f"kind-{CLUSTER_NAME}",
            registry=f"localhost:{HOST_REGISTRY_PORT}",
            registry_in_cluster=f"{REGISTRY}:{REGISTRY_PORT}",
            s3_endpoint=f"http://127.0.0.1:{self._s3_port}",
            s3_endpoint_in_cluster=f"http://{S3}:{self._s3_port}",
            s3_region=stores.REGION,
            s3_access_key=keys["access_key"],
            s3_secret_key=keys["secret_key"],
            buckets=BUCKETS,
            kubectl=tools["kubectl"],
            helm=tools["helm"],
        )

    def _nodes_know_registry(self) -> None:
        hosts = f'[host."http://{REGISTRY}:{REGISTRY_PORT}"]\n  capabilities = ["pull", "resolve"]\n'
        folder = f"{_CERTS}/{REGISTRY}:{REGISTRY_PORT}"
        for node in self._kind("get", "nodes", "--name", CLUSTER_NAME).split():
            self._docker("exec", node, "mkdir", "-p", folder)
            self._docker("exec", "-i", node, "cp", "/dev/stdin", f"{folder}/hosts.toml", stdin=hosts)

    def _seaweedfs(self) -> None:
        if not self._keys().exists():
            keys = {"access_key": "AK" + secrets.token_hex(8).upper(), "secret_key": secrets.token_urlsafe(30)}
            self._keys().touch(0o600)
            self._keys().write_text(json.dumps(keys))
        keys = json.loads(self._keys().read_text())
        config = self._folder / "s3.json"
        config.touch(0o600)
        config.write_text(stores.weed_identities(keys["access_key"], keys["secret_key"]))
        options = ["-p", f"127.0.0.1:{self._s3_port}:{self._s3_port}", "-v", f"{config}:/etc/slipway/s3.json:ro"]
        words = ["server", "-dir=/data", "-s3", f"-s3.port={self._s3_port}", "-s3.config=/etc/slipway/s3.json"]
        self._container(S3, self._settings.seaweedfs_image, options, words)

    def _container(self, name: str, image: str, options: list[str], words: list[str]) -> None:
        """A container on kind's network that runs; made, started or left alone, as it needs."""
        state = self._state(name)
        if state == "running":
            return
        with self._progress.step(f"container {name}"):
            if state:
                self._docker("start", name)
                return
            self._docker("run", "-d", "--restart=unless-stopped", "--name", name, "--network", NETWORK, *options, image, *words)

    def _state(self, name: str) -> str:
        return self._docker("inspect", "--format", "{{.State.Status}}", name, check=False).strip()

    def _docker_answers(self) -> None:
        try:
            self._docker("version", "--format", "{{.Server.Version}}")
        except (CommandError, subprocess.SubprocessError) as error:
            words = "Docker does not answer: start it, and let this user use it (group docker)"
            raise PreflightError([f"{words}\n{error}"]) from error

    def _tools(self) -> dict[str, str]:
        return need_all(self._settings, "docker", "kind", "kubectl", "helm")

    def _kind(self, *words: str, stdin: str | None = None) -> str:
        return self._run(["kind", *words], stdin=stdin)

    def _docker(self, *words: str, stdin: str | None = None, check: bool = True) -> str:
        return self._run(["docker", *words], stdin=stdin, check=check)

    def _kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    def _keys(self) -> Path:
        return self._folder / "credentials.json"
