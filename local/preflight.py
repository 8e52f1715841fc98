"""What the bare cluster needs of a machine, checked before anything is changed, with a clear word for each thing missing."""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Callable
from pathlib import Path

from local import debian
from local.bare.layout import MAX_STATE_PATH, NETNS
from local.bare.network import Network
from local.binaries import container_tools
from local.errors import CommandError, PreflightError
from local.progress import Progress
from local.settings import Settings
from local.shell import find, run

DEBIAN = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "socat": "socat",
    "docker-registry": "docker-registry",
    "openssl": "openssl",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""Programs, and the packages of Debian and Ubuntu that have them."""
_CNI_PACKAGE = "containernetworking-plugins"
_CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
_MEMORY = 1500 * 2**20
_DISK = 2 * 2**30
_DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins/kubelet.sock")


def check(settings: Settings, progress: Progress, *, install: bool = True) -> None:
    """Raise PreflightError with everything that is in the way. As root on Debian or Ubuntu, missing packages are installed."""
    if platform.system() != "Linux":
        raise PreflightError(["the provider `bare` runs on Linux only; use `--provider kind`"])
    need_root("the provider `bare`")
    packages = missing_packages()
    if packages and install and debian.can_install():
        with progress.step(f"apt-get install {' '.join(packages)}"):
            debian.install(packages)
        packages = missing_packages()
    problems = (
        [f"missing: {', '.join(packages)}. Install these packages, or what has the same programs on your system"]
        if packages
        else []
    )
    if not packages:
        problems += kernel_problems()
    problems += _memory() + _disk(settings) + _path(settings) + _other_cluster()
    if problems:
        raise PreflightError(problems)


def need_root(what: str) -> None:
    """Raise PreflightError unless this process is root's."""
    if os.geteuid() != 0:
        raise PreflightError(
            [f"{what} needs root (namespaces, mounts, control groups): run it with sudo, or use `--provider kind`"]
        )


def missing_packages(have: Callable[[str], object] = find, plugins: tuple[Path, ...] | None = None) -> list[str]:
    """Debian's names of the packages whose programs are not here."""
    missing = {package for program, package in DEBIAN.items() if not have(program)}
    if have("registry"):
        missing.discard("docker-registry")
    folders = container_tools() if plugins is None else plugins
    if not any(all((folder / plugin).exists() for plugin in _CNI_PLUGINS) for folder in folders):
        missing.add(_CNI_PACKAGE)
    return sorted(missing)


def kernel_problems() -> list[str]:
    """Try the kernel's abilities for real, in a namespace that ends with the trial."""
    for module in ("overlay", "br_netfilter", "veth", "ip_tables", "nf_conntrack"):
        run(["modprobe", "-q", module], check=False)  # may be built in; what counts is the trial below
    problems = []
    if not re.search(r"\boverlay$", Path("/proc/filesystems").read_text(), re.MULTILINE):
        problems.append("the kernel has no overlay file system (module `overlay`)")
    trials = {
        "network namespaces (CONFIG_NET_NS)": "true",
        "bridges (module `bridge`)": "ip link add trial0 type bridge",
        "veth pairs (module `veth`)": "ip link add trial1 type veth peer name trial2",
        "NAT with iptables (modules `nf_nat`, `xt_MASQUERADE`)": "iptables -t nat -A POSTROUTING -j MASQUERADE",
        "iptables matches `addrtype`, `comment`, `conntrack`, `statistic`, `multiport`": (
            "iptables -A INPUT -m comment --comment t -m conntrack --ctstate NEW -j ACCEPT && "
            "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT && "
            "iptables -t nat -A PREROUTING -m statistic --mode random --probability 0.5 -j ACCEPT && "
            "iptables -A INPUT -p tcp -m multiport --dports 1,2 -j ACCEPT"
        ),
    }
    for name, trial in trials.items():
        try:
            run(["unshare", "--net", "sh", "-c", trial], timeout=20)
        except CommandError as error:
            problems.append(f"this kernel, or this container, does not allow {name}: {error.output.strip()[-200:]}")
    return problems


def _memory() -> list[str]:
    match = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    free = int(match[1]) * 1024 if match else _MEMORY
    return (
        [] if free >= _MEMORY else [f"{free // 2**20} MB of memory are free, the cluster and a few pods need {_MEMORY // 2**20}"]
    )


def _disk(settings: Settings) -> list[str]:
    settings.cache.mkdir(parents=True, exist_ok=True)
    status = os.statvfs(settings.cache)
    free = status.f_bavail * status.f_frsize
    return (
        []
        if free >= _DISK
        else [
            f"{free // 2**20} MB are free below {settings.cache}, {_DISK // 2**20} are needed: free some, or set XDG_CACHE_HOME"
        ]
    )


def _path(settings: Settings) -> list[str]:
    if len(str(settings.state)) <= MAX_STATE_PATH:
        return []
    return [
        f"the path {settings.state} is longer than {MAX_STATE_PATH} characters, too long for sockets below it: set XDG_CACHE_HOME to a shorter one"
    ]


def _other_cluster() -> list[str]:
    problems, network = [], Network()
    if network.foreign():
        problems.append(f"a network namespace `{NETNS}` of somebody else is here: remove it (`ip netns del {NETNS}`)")
    collisions = network.collisions()
    if collisions:
        problems.append(
            f"these routes overlap the cluster's networks (10.200.0.0/30, 10.96.0.0/16, 10.244.0.0/16): {', '.join(collisions)}"
        )
    if _answers(_DEVICE_PLUGINS) and not network.exists():
        problems.append(
            "another kubelet runs on this machine, and two share /var/lib/kubelet/device-plugins: stop it, or use `--provider current`"
        )
    return problems


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
