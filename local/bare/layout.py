"""Names, addresses and paths of the bare cluster.

::

    host                                        network namespace `slipway`
    slip0 10.200.0.2/30  ──────── veth ──────── slip1 10.200.0.1/30   API server, node, DNS, S3, registry
    routes: 10.96.0.0/16 (Services)             slipsvc0              a bridge without ports: where Services are routed to
            10.244.0.0/16 (pods)                slipcni0              the pods' bridge, made by CNI
            both via 10.200.0.1                 no default route: nothing leaves
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from local.components import POD_NET, SERVICE_NET
from local.pki import Pki
from local.settings import CLUSTER_NAME

NETNS = CLUSTER_NAME
NETNS_FILE = Path("/run/netns") / NETNS
HOST_LINK, NODE_LINK, SERVICE_LINK, POD_LINK = "slip0", "slip1", "slipsvc0", "slipcni0"
NODE_IP, HOST_IP, LINK_PREFIX = "10.200.0.1", "10.200.0.2", 30
LINK_NET = "10.200.0.0/30"
NETS = (LINK_NET, SERVICE_NET, POD_NET)
API_PORT = 6443
REGISTRY_PORT = 5000
REGISTRY = f"{NODE_IP}:{REGISTRY_PORT}"
REGISTRY_ALIAS = "registry.slipway"
DNS_READY_PORT = 8181
PROXY_HEALTH_PORT = 10256
CGROUP = CLUSTER_NAME
BUCKETS = (CLUSTER_NAME, "data")
"""The registry's, and one for data."""
MAX_STATE_PATH = 60
"""Length of the state folder's path: sockets below it may have 107 characters in all."""

DAEMONS = (
    "containerd",
    "etcd",
    "kube-apiserver",
    "seaweedfs",
    "registry",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
)
"""In the order of their start."""

FIXED_FOLDERS = (
    "/run/containerd/s",
    "/run/containerd/runc/k8s.io",
    "/run/containerd/runc",
    "/run/containerd",
    "/run/flannel",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet/pod-resources",
    "/var/lib/kubelet",
    "/var/log/containers",
)
"""Folders whose paths are fixed in the programs, innermost first. Those that were not there before are removed when empty."""

KERNEL_SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What a kubelet changes below /proc/sys. They belong to no namespace, so they are saved and put back."""


@dataclass(frozen=True)
class Layout:
    """Paths below the state folder."""

    root: Path

    @property
    def pki(self) -> Pki:
        """Keys and certificates."""
        return Pki(self.root / "pki")

    @property
    def etc(self) -> Path:
        """Configuration files."""
        return self.root / "etc"

    @property
    def conf(self) -> Path:
        """One kubeconfig per component."""
        return self.root / "conf"

    @property
    def log(self) -> Path:
        """Logs and process records."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """Sockets, and notes about what was changed on the host."""
        return self.root / "run"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def admin(self) -> Path:
        """Kubeconfig of a cluster admin, which on this node is as good as root."""
        return self.root / "admin.conf"

    @property
    def etcd(self) -> Path:
        """etcd's data."""
        return self.root / "etcd"

    @property
    def s3(self) -> Path:
        """SeaweedFS: identities and data."""
        return self.root / "s3"

    @property
    def registry(self) -> Path:
        """The image registry's data."""
        return self.root / "registry"

    @property
    def credentials(self) -> Path:
        """S3 access and secret key, JSON."""
        return self.root / "credentials.json"

    def make_folders(self) -> None:
        """Create the folders, private ones with mode 0700."""
        for folder in (self.root, self.etc, self.run, self.log, self.etc / "cni", self.registry, self.root / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.conf, self.etcd, self.s3, self.s3 / "data"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
