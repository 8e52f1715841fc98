"""Configuration files of the bare cluster, as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from local import stores
from local.bare.layout import (
    CGROUP,
    DNS_READY_PORT,
    HOST_IP,
    NODE_IP,
    POD_LINK,
    PROXY_HEALTH_PORT,
    REGISTRY,
    REGISTRY_ALIAS,
    REGISTRY_PORT,
    Layout,
)
from local.binaries import PAUSE_IMAGE, container_tools
from local.components import NODE, POD_NET, control_plane_leaves
from local.pki import Leaf

AUTHORITIES = {"ca": "slipway-ca", "front-proxy-ca": "slipway-front-proxy-ca", "etcd-ca": "slipway-etcd-ca"}
KUBECONFIG_USERS = ("controller-manager", "scheduler", "proxy", "node", "dns")


def everything(layout: Layout, api_url: str) -> list[tuple[Path, str, int]]:
    """Every file but the keys: path, content, mode. Keys and credentials have to be there. Raises OSError, ValueError if not."""
    keys = json.loads(layout.credentials.read_text())
    plain = {
        layout.etc / "containerd.toml": containerd(layout, container_tools()[0]),
        layout.etc / "kubelet.yaml": kubelet(layout),
        layout.etc / "proxy.yaml": kube_proxy(layout),
        layout.etc / "Corefile": corefile(layout),
        layout.etc / "resolv.conf": resolv_conf(),
        layout.etc / "cni" / "10-slipway.conflist": cni(layout),
        layout.etc / "certs.d" / REGISTRY / "hosts.toml": registry_hosts(),
        layout.etc / "certs.d" / REGISTRY_ALIAS / "hosts.toml": registry_hosts(),
    }
    private = {layout.conf / f"{user}.conf": layout.pki.kubeconfig(user, api_url) for user in KUBECONFIG_USERS}
    private[layout.admin] = layout.pki.kubeconfig("admin", api_url)
    private[layout.s3 / "s3.json"] = stores.weed_identities(keys["access_key"], keys["secret_key"])
    private[layout.etc / "registry.yml"] = stores.registry_config(
        NODE_IP, REGISTRY_PORT, layout.registry, secret=keys["registry_secret"]
    )
    return [(path, text, 0o644) for path, text in plain.items()] + [(path, text, 0o600) for path, text in private.items()]


def leaves() -> list[Leaf]:
    """All certificates of the cluster."""
    return [
        *control_plane_leaves((NODE_IP, "127.0.0.1")),
        Leaf(
            "kubelet",
            f"system:node:{NODE}",
            "system:nodes",
            client=False,
            server=True,
            alternatives=(f"IP:{NODE_IP}", f"DNS:{NODE}"),
        ),
        Leaf("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
        Leaf("scheduler", "system:kube-scheduler"),
        Leaf("proxy", "system:kube-proxy"),
        Leaf("node", f"system:node:{NODE}", "system:nodes"),
        Leaf("dns", "slipway:dns"),
    ]


def containerd(layout: Layout, cni_plugins: Path) -> str:
    """containerd.toml. Version 2 of the format is read by containerd 1.6 to 2."""
    return f"""version = 2
root = "{layout.root}/containerd/root"
state = "{layout.root}/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{layout.containerd_socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  netns_mounts_under_state_dir = true
  # without CAP_SYS_RESOURCE a negative value may not be set, and no container would start
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{layout.etc}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{layout.etc}/certs.d"
"""


def registry_hosts() -> str:
    """hosts.toml for the registry's address and its alias."""
    return f'server = "http://{REGISTRY}"\n[host."http://{REGISTRY}"]\n  capabilities = ["pull", "resolve"]\n'


def cni(layout: Layout) -> str:
    """The pods' network: a bridge, addresses from POD_NET, kept in the state folder."""
    bridge = {
        "type": "bridge",
        "bridge": POD_LINK,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_NET}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(layout.root / "cni"),
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "slipway", "plugins": [bridge, ports]}, indent=2)


def kubelet(layout: Layout) -> str:
    """kubelet.yaml."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{CGROUP}",
            "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
            "address": NODE_IP,
            "healthzBindAddress": "127.0.0.1",
            "tlsCertFile": str(layout.pki.certificate("kubelet")),
            "tlsPrivateKeyFile": str(layout.pki.key("kubelet")),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(layout.pki.certificate("ca"))},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDNS": [NODE_IP],
            "clusterDomain": "cluster.local",
            "resolvConf": str(layout.etc / "resolv.conf"),
            "podLogsDir": str(layout.root / "podlogs"),
            "volumePluginDir": str(layout.root / "volplugins"),
            "serializeImagePulls": False,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            # Imported images can be pulled from nowhere: never collect any, however full the disk is.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
        }
    )


def kube_proxy(layout: Layout) -> str:
    """proxy.yaml. The conntrack values of 0 leave the host's settings alone."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(layout.conf / "proxy.conf")},
            "mode": "iptables",
            "clusterCIDR": POD_NET,
            "hostnameOverride": NODE,
            "healthzBindAddress": f"{NODE_IP}:{PROXY_HEALTH_PORT}",
            "metricsBindAddress": "127.0.0.1:10249",
            "nodePortAddresses": [f"{NODE_IP}/32"],
            "iptables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        }
    )


def corefile(layout: Layout) -> str:
    """CoreDNS. Names outside do not exist: nothing leads out of the namespace, and an answer at once beats a time-out. That is a
    block of its own, because `template` comes before all others wherever it stands."""
    return f"""cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {NODE_IP}
    errors
    ready {NODE_IP}:{DNS_READY_PORT}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {layout.conf}/dns.conf slipway
        pods insecure
        ttl 5
    }}
    cache 5
}}
slipway:53 {{
    bind {NODE_IP}
    errors
    hosts {{
        {NODE_IP} {REGISTRY_ALIAS} s3.slipway
        {HOST_IP} host.slipway
    }}
}}
.:53 {{
    bind {NODE_IP}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def resolv_conf() -> str:
    """resolv.conf of pods with ``dnsPolicy: Default``."""
    return f"nameserver {NODE_IP}\n"


def dns_rbac() -> dict[str, dict[str, Any]]:
    """What CoreDNS may read: API path to object."""
    group = "rbac.authorization.k8s.io"
    names = {"name": "slipway:dns"}
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": names,
        "rules": [
            {"apiGroups": [""], "resources": ["services", "endpoints", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": names,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "slipway:dns"},
        "subjects": [{"kind": "User", "apiGroup": group, "name": "slipway:dns"}],
    }
    base = f"/apis/{group}/v1"
    return {f"{base}/clusterroles/slipway:dns": role, f"{base}/clusterrolebindings/slipway:dns": binding}


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False)
