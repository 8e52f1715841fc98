"""Command lines of the control plane's parts, as used by the whole cluster and by the control plane for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from local.pki import Leaf, Pki

SERVICE_NET = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
POD_NET = "10.244.0.0/16"
NODE = "slipway"
_ISSUER = "https://kubernetes.default.svc.cluster.local"
AUTHORITIES = {"ca": "slipway-ca", "etcd-ca": "slipway-etcd-ca"}


@dataclass(frozen=True)
class Etcd:
    """Where etcd listens; always loopback, always TLS."""

    client_port: int = 2379
    peer_port: int = 2380

    @property
    def url(self) -> str:
        """URL for clients."""
        return f"https://127.0.0.1:{self.client_port}"


def control_plane_leaves(addresses: tuple[str, ...]) -> list[Leaf]:
    """Certificates of an API server on `addresses` and of those who talk to it. Names and groups are fixed by RBAC."""
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    alternatives = (*(f"IP:{address}" for address in addresses), f"IP:{FIRST_SERVICE}", *(f"DNS:{name}" for name in names))
    return [
        Leaf("apiserver", "kube-apiserver", client=False, server=True, alternatives=alternatives),
        Leaf("etcd", "etcd", server=True, alternatives=("IP:127.0.0.1", "DNS:localhost"), authority="etcd-ca"),
        Leaf("admin", "slipway-admin", "system:masters"),
        Leaf("controller-manager", "system:kube-controller-manager"),
    ]


def etcd(program: str, pki: Pki, data: Path, at: Etcd) -> list[str]:
    """Command line of etcd. It does not wait for the disk (``--unsafe-no-fsync``): a power cut may lose the state."""
    peer = f"https://127.0.0.1:{at.peer_port}"
    certificate, key, ca = (str(p) for p in (pki.certificate("etcd"), pki.key("etcd"), pki.certificate("etcd-ca")))
    return [
        program, "--name=slipway", f"--data-dir={data}",
        f"--listen-client-urls={at.url}", f"--advertise-client-urls={at.url}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=slipway={peer}",
        f"--cert-file={certificate}", f"--key-file={key}", "--client-cert-auth", f"--trusted-ca-file={ca}",
        f"--peer-cert-file={certificate}", f"--peer-key-file={key}", "--peer-client-cert-auth", f"--peer-trusted-ca-file={ca}",
        "--unsafe-no-fsync", "--log-level=warn",
    ]  # fmt: skip


def kube_apiserver(program: str, pki: Pki, at: Etcd, address: str, port: int, *more: str) -> list[str]:
    """Command line of the API server, with `more` flags at the end."""
    return [
        program, f"--etcd-servers={at.url}", f"--etcd-cafile={pki.certificate('etcd-ca')}",
        f"--etcd-certfile={pki.certificate('etcd')}", f"--etcd-keyfile={pki.key('etcd')}",
        f"--bind-address={address}", f"--advertise-address={address}", f"--secure-port={port}",
        f"--service-cluster-ip-range={SERVICE_NET}", "--allow-privileged=true", f"--client-ca-file={pki.certificate('ca')}",
        f"--tls-cert-file={pki.certificate('apiserver')}", f"--tls-private-key-file={pki.key('apiserver')}",
        f"--service-account-issuer={_ISSUER}", f"--service-account-key-file={pki.service_account_public_key}",
        f"--service-account-signing-key-file={pki.key('sa')}", "--profiling=false", *more,
    ]  # fmt: skip


def kube_controller_manager(program: str, pki: Pki, kubeconfig: Path, *more: str) -> list[str]:
    """Command line of the controller manager. Its default of 20 requests/s would make every start 4 s longer."""
    return [
        program, f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--use-service-account-credentials=true",
        f"--root-ca-file={pki.certificate('ca')}", f"--service-account-private-key-file={pki.key('sa')}",
        f"--service-cluster-ip-range={SERVICE_NET}", "--kube-api-qps=200", "--kube-api-burst=400", "--profiling=false", *more,
    ]  # fmt: skip


def kube_scheduler(program: str, kubeconfig: Path, *more: str) -> list[str]:
    """Command line of the scheduler."""
    return [
        program, f"--kubeconfig={kubeconfig}", "--leader-elect=false",
        "--kube-api-qps=200", "--kube-api-burst=400", "--profiling=false", *more,
    ]  # fmt: skip
