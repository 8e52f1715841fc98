"""Command lines of the bare cluster's daemons, with the files each is restarted for when they change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from local import components, services, stores
from local.bare.layout import API_PORT, BUCKETS, NODE_IP, Layout
from local.binaries import Binaries
from local.components import NODE, Etcd
from local.settings import daemon_environment
from local.shell import need
from local.stores import WeedPorts


@dataclass(frozen=True)
class Command:
    """How to start one daemon."""

    argv: list[str]
    files: tuple[Path, ...] = ()
    environment: dict[str, str] = field(default_factory=daemon_environment)


def all_commands(layout: Layout, programs: Binaries) -> dict[str, Command]:
    """The commands by name, in no particular order. Raises PreflightError if a program of the host is missing."""
    pki, conf, etc, run = layout.pki, layout.conf, layout.etc, programs.component
    config_of = {name: conf / f"{name}.conf" for name in ("controller-manager", "scheduler", "node")}
    return {
        "containerd": Command(
            [str(need("containerd", "install the package containerd")), "--config", str(etc / "containerd.toml")],
            (etc / "containerd.toml",),
        ),
        "etcd": Command(components.etcd(run("etcd"), pki, layout.etcd, Etcd()), (pki.certificate("etcd"),)),
        "kube-apiserver": Command(
            components.kube_apiserver(run("kube-apiserver"), pki, Etcd(), NODE_IP, API_PORT, *_api_flags(layout)),
            (pki.certificate("apiserver"),),
        ),
        "kube-controller-manager": Command(
            components.kube_controller_manager(
                run("kube-controller-manager"), pki, config_of["controller-manager"],
                *_own_kubeconfig(config_of["controller-manager"]),
                f"--cluster-signing-cert-file={pki.certificate('ca')}", f"--cluster-signing-key-file={pki.key('ca')}",
                f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}",
            ),
            (config_of["controller-manager"],),
        ),
        "kube-scheduler": Command(
            components.kube_scheduler(
                run("kube-scheduler"), config_of["scheduler"], *_own_kubeconfig(config_of["scheduler"])
            ),
            (config_of["scheduler"],),
        ),
        "kubelet": Command(
            [
                run("kubelet"), f"--config={etc / 'kubelet.yaml'}", f"--kubeconfig={config_of['node']}",
                f"--root-dir={layout.root / 'kubelet'}", f"--cert-dir={layout.root / 'kubelet' / 'pki'}",
                f"--hostname-override={NODE}", f"--node-ip={NODE_IP}", "--v=1",
            ],
            (etc / "kubelet.yaml", config_of["node"]),
        ),
        "kube-proxy": Command([run("kube-proxy"), f"--config={etc / 'proxy.yaml'}"], (etc / "proxy.yaml", conf / "proxy.conf")),
        "coredns": Command([run("coredns"), "-conf", str(etc / "Corefile")], (etc / "Corefile", conf / "dns.conf")),
        "seaweedfs": Command(
            stores.weed(str(services.seaweedfs_program()), NODE_IP, WeedPorts(), layout.s3, BUCKETS),
            (layout.s3 / "s3.json",),
            daemon_environment(TMPDIR=str(layout.root / "tmp")),
        ),
        "registry": Command([str(services.registry_program()), "serve", str(etc / "registry.yml")], (etc / "registry.yml",)),
    }  # fmt: skip


def _own_kubeconfig(path: Path) -> list[str]:
    return [f"--authentication-kubeconfig={path}", f"--authorization-kubeconfig={path}", "--bind-address=127.0.0.1"]


def _api_flags(layout: Layout) -> list[str]:
    pki = layout.pki
    return [
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={pki.certificate('ca')}",
        f"--kubelet-client-certificate={pki.certificate('kubelet-client')}", f"--kubelet-client-key={pki.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki.certificate('front-proxy-ca')}", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki.certificate('front-proxy-client')}", f"--proxy-client-key-file={pki.key('front-proxy-client')}",
    ]  # fmt: skip
