"""The cluster's network namespace and its link to the host."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

from local.bare.layout import (
    HOST_IP,
    HOST_LINK,
    LINK_PREFIX,
    NETNS,
    NETNS_FILE,
    NETS,
    NODE_IP,
    NODE_LINK,
    POD_LINK,
    SERVICE_LINK,
)
from local.components import POD_NET, SERVICE_NET
from local.shell import Runner, run
from local.stores import WeedPorts

ENTER = ("nsenter", f"--net={NETNS_FILE}", "--")
"""Prefix of commands inside. Only the network differs: mounts, /sys and processes are the host's, so that kubelet, containerd
and runc see each other's mounts (``ip netns exec`` would give each a /sys and mounts of its own)."""
_BLACKHOLE_METRIC = "4096"


class Network:
    """Makes, checks and removes the namespace. Every step can be repeated."""

    def __init__(self, runner: Runner = run) -> None:
        self._run = runner

    def exists(self) -> bool:
        """Whether the namespace is there."""
        return NETNS_FILE.exists()

    def complete(self) -> bool:
        """Whether link, addresses and routes are as :meth:`up` leaves them."""
        if not self.exists():
            return False
        routes = {r["dst"]: r for r in self._json("-4", "route", "show")}
        through = all(routes.get(net, {}).get("gateway") == NODE_IP for net in (SERVICE_NET, POD_NET))
        return through and routes.get(SERVICE_NET, {}).get("dev") == HOST_LINK and self._inside_complete()

    def up(self) -> None:
        """Make whatever is missing. Raises CommandError if the kernel refuses."""
        if not self.exists():
            self._run(["ip", "netns", "add", NETNS])
        if NODE_LINK not in self._links(inside=True):
            self._run(["ip", "link", "del", HOST_LINK], check=False)
            self._run(["ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns", NETNS])
        if SERVICE_LINK not in self._links(inside=True):
            self._run(["ip", "-n", NETNS, "link", "add", SERVICE_LINK, "type", "bridge"])
        self._batch(
            [
                "link set lo up",
                f"link set {NODE_LINK} addrgenmode none",
                f"addr replace {NODE_IP}/{LINK_PREFIX} dev {NODE_LINK}",
                f"link set {NODE_LINK} up",
                f"link set {SERVICE_LINK} up",
                # Services need a route, or "network unreachable" comes before kube-proxy's rules are met. The bridge has no
                # ports, so whatever no rule rewrites ends there.
                f"route replace {SERVICE_NET} dev {SERVICE_LINK} src {NODE_IP}",
                # Until CNI has made the pods' bridge; that bridge's own route has metric 0 and wins.
                f"route replace blackhole {POD_NET} metric {_BLACKHOLE_METRIC}",
            ],
            inside=True,
        )
        self._batch(
            [
                f"link set {HOST_LINK} addrgenmode none",
                f"addr replace {HOST_IP}/{LINK_PREFIX} dev {HOST_LINK}",
                f"link set {HOST_LINK} up",
                f"route replace {SERVICE_NET} via {NODE_IP} dev {HOST_LINK}",
                f"route replace {POD_NET} via {NODE_IP} dev {HOST_LINK}",
            ],
            inside=False,
        )
        self._kernel_settings()
        self._close_inner_ports()

    def down(self) -> None:
        """Remove the namespace, and with it every link, route and rule. Its processes have to be ended before."""
        self._run(["ip", "link", "del", HOST_LINK], check=False)
        if self.exists():
            self._run(["ip", "netns", "del", NETNS], check=False)

    def pids(self) -> list[int]:
        """Processes inside the namespace (not the pods': those have namespaces of their own)."""
        if not self.exists():
            return []
        return [int(pid) for pid in self._run(["ip", "netns", "pids", NETNS], check=False).split()]

    def foreign(self) -> bool:
        """Whether a namespace of this name is there that somebody else made."""
        if not self.exists():
            return False
        return bool(self._links(inside=True) - {"lo", NODE_LINK, SERVICE_LINK, POD_LINK}) and NODE_LINK not in self._links(
            inside=True
        )

    def collisions(self) -> list[str]:
        """Routes of the host that overlap our networks and are not ours, as text."""
        ours = [ipaddress.ip_network(net) for net in NETS]
        found = []
        for route in self._json("-4", "route", "show"):
            if route.get("dev") == HOST_LINK or route["dst"] == "default":
                continue
            other = ipaddress.ip_network(route["dst"], strict=False)
            if any(other.overlaps(net) for net in ours):
                found.append(f"{route['dst']} dev {route.get('dev', '?')}")
        return found

    def _inside_complete(self) -> bool:
        routes = {r["dst"] for r in self._json("-4", "-n", NETNS, "route", "show")}
        return SERVICE_NET in routes and POD_NET in routes

    def _links(self, *, inside: bool) -> set[str]:
        place = ["-n", NETNS] if inside else []
        return {link["ifname"] for link in self._json(*place, "link", "show")}

    def _json(self, *arguments: str) -> list[dict[str, Any]]:
        text = self._run(["ip", "-j", *arguments], check=False).strip()
        try:
            parsed = json.loads(text or "[]")
        except ValueError:
            return []
        return [entry for entry in parsed if entry]

    def _batch(self, lines: list[str], *, inside: bool) -> None:
        place = ["-n", NETNS] if inside else []
        self._run(["ip", *place, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def _kernel_settings(self) -> None:
        # These belong to the namespace, /proc/sys/net shows those of the process that opens it.
        lines = ["echo 1 > /proc/sys/net/ipv4/ip_forward"]
        if Path("/proc/sys/net/bridge").is_dir():
            # For pod to Service to pod on the same bridge.
            lines.append("echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables")
        self._run([*ENTER, "sh", "-c", "\n".join(lines)])

    def _close_inner_ports(self) -> None:
        # SeaweedFS's inner servers ask for no credentials; only S3 is for others than itself.
        ports = ",".join(str(port) for port in WeedPorts().inner)
        rule = [
            "INPUT",
            "!",
            "-i",
            "lo",
            "-p",
            "tcp",
            "-m",
            "multiport",
            "--dports",
            ports,
            "-j",
            "REJECT",
            "--reject-with",
            "tcp-reset",
        ]
        present = self._run([*ENTER, "iptables", "-w", "-S", "INPUT"])
        if ports not in present:
            self._run([*ENTER, "iptables", "-w", "-A", *rule])
