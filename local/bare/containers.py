"""containerd's images, and the end of its containers."""

from __future__ import annotations

import time
from pathlib import Path

from local.bare.daemons import kill_pid
from local.bare.layout import Layout
from local.shell import Runner, run

_NAMESPACE = "k8s.io"


class Containers:
    """What the kubelet's containerd holds."""

    def __init__(self, layout: Layout, runner: Runner = run) -> None:
        self._socket, self._run = layout.containerd_socket, runner

    def answers(self) -> bool:
        """Whether containerd can be asked."""
        return self._socket.exists() and bool(self._ctr("version", check=False))

    def images(self) -> set[str]:
        """Names of the images on the node."""
        return set(self._ctr("images", "ls", "-q").split())

    def import_archive(self, archive: Path) -> None:
        """Import an OCI archive under the names it carries. Raises CommandError for a bad archive."""
        self._ctr("images", "import", str(archive))

    def remove_containers(self) -> None:
        """Remove all containers; their processes have to be ended before."""
        for kind in ("tasks", "containers"):
            deadline = time.monotonic() + 5
            while names := self._ctr(kind, "ls", "-q", check=False).split():
                self._ctr(kind, "rm", *(["-f"] if kind == "tasks" else []), *names, check=False)
                if time.monotonic() > deadline:
                    break  # what is left is no process any more, and containerd sorts it out at its next start
                time.sleep(0.05)
        self._forget_networks()

    def shims(self) -> list[int]:
        """Shims of this containerd; they outlive it."""
        marker = f"-address\0{self._socket}\0".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # ended meanwhile
            if b"containerd-shim" in line.split(b"\0")[0] and marker in line:
                found.append(int(folder.name))
        return found

    def kill_shims(self) -> None:
        """Kill the shims that are left."""
        for pid in self.shims():
            kill_pid(pid)

    def _forget_networks(self) -> None:
        # libcni's cache at a fixed place; ours are named after our network.
        folder = Path("/var/lib/cni/results")
        for entry in folder.glob("slipway-*") if folder.is_dir() else ():
            entry.unlink(missing_ok=True)

    def _ctr(self, *arguments: str, check: bool = True) -> str:
        return self._run(["ctr", "-a", str(self._socket), "-n", _NAMESPACE, *arguments], check=check)
