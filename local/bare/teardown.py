"""Taking the bare cluster away. Every step can be repeated, and none relies on an earlier `up` having got far."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

from local.bare.cgroups import Cgroups
from local.bare.containers import Containers
from local.bare.daemons import Daemons, kill_pid
from local.bare.host import Host
from local.bare.layout import CGROUP, DAEMONS, Layout
from local.bare.network import Network
from local.errors import LocalError
from local.progress import Progress
from local.stores import WeedPorts

_CONTROLLERS = [name for name in DAEMONS if name not in ("containerd", "etcd", "kube-apiserver", "seaweedfs", "registry")]


class Teardown:
    """The parts of a cluster, in the order in which they can go."""

    def __init__(self, layout: Layout, daemons: Daemons, progress: Progress) -> None:
        self._layout, self._daemons, self._progress = layout, daemons, progress
        self._network, self._cgroups = Network(), Cgroups()
        self._containers, self._host = Containers(layout), Host(layout)

    def anything_left(self) -> bool:
        """Whether there is something of a cluster to take away (files aside)."""
        return bool(
            self._network.exists()
            or any(self._daemons.pid(name) for name in DAEMONS)
            or self._containers.shims()
            or any((root / CGROUP).exists() for root in self._cgroups.places())
            or self._host.mounts(self._layout.root)
            or (self._layout.run / "before.json").exists()
        )

    def stop(self) -> None:
        """End everything and put the host back. Raises LocalError if something cannot be removed."""
        if not self.anything_left():
            return
        with self._progress.step("controllers, kubelet and stores stopped"):
            self._daemons.stop([*_CONTROLLERS, "seaweedfs", "registry"])
        with self._progress.step("containers ended"):
            self._end_containers()
        with self._progress.step("API server and etcd stopped"):
            # The API server holds no state, and on SIGTERM it would wait 5 s for open watches.
            self._daemons.stop(["kube-apiserver"], kill=True)
            self._daemons.stop(["etcd"])
            for pid in self._network.pids():  # whose record was lost
                kill_pid(pid)
        with self._progress.step("mounts, links, rules and control groups removed"):
            self._clean()

    def purge(self) -> None:
        """Remove the state folder. Raises LocalError if something is still mounted below it."""
        if not self._layout.root.exists():
            return
        mounted = self._host.unmount_all()
        if mounted:
            raise LocalError(f"not removing {self._layout.root}, still mounted below it: {', '.join(mounted)}")
        with self._progress.step(f"{self._layout.root} removed"):
            shutil.rmtree(self._layout.root)

    def _end_containers(self) -> None:
        for pid in self._cgroups.pids():
            kill_pid(pid)
        self._soon(lambda: not self._cgroups.pids(), "processes of containers are still there")
        if self._daemons.pid("containerd"):
            self._containers.remove_containers()
        self._daemons.stop(["containerd"])
        self._containers.kill_shims()
        self._soon(lambda: not self._containers.shims(), "shims of containerd are still there")

    def _clean(self) -> None:
        self._soon(lambda: not self._network.pids(), "processes are still in the network namespace")
        mounted = self._host.unmount_all()
        if mounted:
            raise LocalError(f"these cannot be unmounted: {', '.join(mounted)}")
        self._network.down()
        shutil.rmtree(self._layout.root / "cni", ignore_errors=True)  # the address book: containers went without a CNI DEL
        self._soon(self._cgroups.down, "control groups below /slipway cannot be removed")
        for path in WeedPorts().sockets:
            path.unlink(missing_ok=True)
        self._host.restore()

    @staticmethod
    def _soon(fact: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + 10
        while not fact():
            if time.monotonic() > deadline:
                raise LocalError(f"{otherwise} after 10 s")
            time.sleep(0.02)
