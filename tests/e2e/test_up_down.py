"""The bare cluster leaves the machine as it found it, and is repaired by the command that starts it."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from local import settings
from local.demo.install import OPERATOR_NAMESPACE
from local.demo.kubectl import Cluster
from local.progress import Progress
from local.providers import provider
from local.shell import run
from local.stores import WeedPorts
from tests.e2e.support import poll

pytestmark = pytest.mark.alone


def traces() -> dict[str, list[str]]:
    """What a cluster could leave behind on this machine, by where it would be found."""
    state = str(settings.read().state)
    return {
        "processes": sorted(_processes(state)),
        "mounts": sorted(line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if _ours(line, state)),
        "links": sorted(re.findall(r"^\d+: (\S+?)[@:]", run(["ip", "link", "show"]), re.MULTILINE)),
        "namespaces": run(["ip", "netns", "list"]).split(),
        "routes": sorted(line.strip() for line in run(["ip", "route", "show", "table", "all"]).splitlines()),
        "rules": [line for line in run(["iptables-save"], check=False).splitlines() if line.startswith("-A")],
        "control groups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("**/slipway") if path.is_dir()),
        "sockets": [str(path) for path in WeedPorts().sockets if path.exists()],
        "kernel": [Path(f"/proc/sys/{name}").read_text().strip() for name in ("vm/overcommit_memory", "kernel/panic")],
    }


def _processes(state: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state in command and int(folder.name) != os.getpid():
            found.append(command[:120])
    return found


def _ours(mount: str, state: str) -> bool:
    return state in mount or "/run/netns/slipway" in mount or "/run/containerd" in mount


def test_down_leaves_nothing_and_up_repairs_what_was_killed(cluster: Cluster) -> None:
    bare = provider("bare", progress=Progress(quiet=True))
    try:
        bare.down()
        before = traces()
        assert before["processes"] == [] and before["mounts"] == [] and "slip0" not in before["links"]
        assert "slipway" not in before["namespaces"] and before["control groups"] == []

        bare.up()
        assert traces() != before, "the snapshot sees a cluster that is there"
        identity = cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
        pids = {part.name: int(part.detail.split()[-1]) for part in bare.status().parts if part.detail.startswith("pid ")}
        assert len(pids) == 10
        for name in ("etcd", *list(pids)[::2]):
            os.kill(pids[name], signal.SIGKILL)
        bare.up()
        assert bare.status().up
        again = cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
        assert again == identity != "", "what the cluster knew is still there"

        bare.down()
        assert traces() == before
        bare.down()
        assert traces() == before, "a second time changes nothing"
    finally:
        bare.up()

    def operator_ready() -> bool:
        words = ("get", "deployment", "slipway", "-n", OPERATOR_NAMESPACE, "-o", "jsonpath={.status.readyReplicas}")
        return cluster.kubectl(*words, check=False) == "1"

    poll("the operator is back", operator_ready)
