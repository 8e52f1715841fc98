"""The control groups below which the kubelet puts its pods, for both versions of the kernel's interface."""

from __future__ import annotations

import os
from pathlib import Path

from local.bare.layout import CGROUP
from local.errors import LocalError

_WANTED_V2 = ("cpuset", "cpu", "memory", "hugetlb", "pids")
"""A kubelet refuses a root group that lacks one of these where the machine has it."""


class Cgroups:
    """The group ``/slipway``: one folder per hierarchy with version 1, one in all with version 2."""

    def __init__(self, mount: Path = Path("/sys/fs/cgroup")) -> None:
        self._mount = mount

    @property
    def unified(self) -> bool:
        """Version 2."""
        return (self._mount / "cgroup.controllers").exists()

    def roots(self) -> list[Path]:
        """The hierarchies of this machine."""
        if self.unified:
            return [self._mount]
        hierarchies = []
        for folder in sorted(self._mount.iterdir()):
            # `cpu` and `cpuacct` may be links to one; `unified` belongs to systemd alone.
            if folder.is_dir() and not folder.is_symlink() and folder.name != "unified" and (folder / "cgroup.procs").exists():
                hierarchies.append(folder)
        return hierarchies

    def places(self) -> list[Path]:
        """All that may hold the group: runc makes one for each pod below systemd's `unified` too, and leaves it there."""
        hybrid = self._mount / "unified"
        return [*self.roots(), *([hybrid] if not self.unified and hybrid.is_dir() else [])]

    def up(self) -> None:
        """Make the group. Raises LocalError if the kernel does not let us."""
        try:
            if self.unified:
                self._delegate()
            for root in self.roots():
                group = root / CGROUP
                group.mkdir(exist_ok=True)
                self._fill_cpuset(root, group)
        except OSError as error:
            raise LocalError(
                f"the control group /{CGROUP} cannot be made below {self._mount}: {error}. "
                "Inside a container, run it privileged and with the host's cgroup namespace"
            ) from error

    def exists(self) -> bool:
        """Whether the group is there in every hierarchy."""
        return all((root / CGROUP).is_dir() for root in self.roots())

    def pids(self) -> list[int]:
        """All processes in the group and below: the containers', and nobody else's."""
        found = set[int]()
        for root in self.roots():
            for folder, _, _ in os.walk(root / CGROUP):
                try:
                    found.update(int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())
                except OSError:
                    continue  # the group went away while we looked
        return sorted(found - {0})

    def down(self) -> bool:
        """Remove the group and all below it; its processes have to be ended before. Returns whether nothing is left."""
        for root in self.places():
            for folder, _, _ in os.walk(root / CGROUP, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    continue  # a process is still ending; the caller asks again
        return not any((root / CGROUP).exists() for root in self.places())

    def _delegate(self) -> None:
        offered = (self._mount / "cgroup.controllers").read_text().split()
        control = self._mount / "cgroup.subtree_control"
        missing = [c for c in _WANTED_V2 if c in offered and c not in control.read_text().split()]
        if missing:
            control.write_text(" ".join(f"+{name}" for name in missing))

    def _fill_cpuset(self, root: Path, group: Path) -> None:
        # With version 1 a new cpuset is empty, and no process can enter it.
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not self.unified and (group / name).exists() and not (group / name).read_text().strip():
                (group / name).write_text((root / name).read_text())
