"""What the cluster changes on the host beyond its folder, written down before it is changed and put back after."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local.bare.daemons import boot_id, write_if_different
from local.bare.layout import FIXED_FOLDERS, KERNEL_SETTINGS, Layout
from local.shell import Runner, run


@dataclass(frozen=True)
class _Before:
    """How the host was before the first start since it was booted."""

    boot: str
    settings: dict[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    """Folders that were not there."""
    netns_mounted: bool = True
    """Whether /run/netns was a mount point; ``ip netns add`` makes it one."""


class Host:
    """Remembers and restores."""

    def __init__(self, layout: Layout, runner: Runner = run, proc: Path = Path("/proc")) -> None:
        self._layout, self._run, self._proc = layout, runner, proc

    @property
    def _note(self) -> Path:
        return self._layout.run / "before.json"

    def remember(self) -> None:
        """Write down how the host is, unless that was done since it was booted."""
        known = self._read()
        if known and known.boot == boot_id():
            return
        settings = {
            name: (self._proc / "sys" / name).read_text().strip()
            for name in KERNEL_SETTINGS
            if (self._proc / "sys" / name).exists()
        }
        absent = tuple(folder for folder in FIXED_FOLDERS if not Path(folder).is_dir())
        before = _Before(boot_id(), settings, absent, "/run/netns" in self.mounts())
        write_if_different(self._note, json.dumps(asdict(before)), 0o600)

    def restore(self) -> None:
        """Put everything back that :meth:`remember` wrote down, and forget it."""
        self._remove_log_links()
        known = self._read()
        # After a boot of the machine everything is as it was without us; only folders on disks remain.
        if known and known.boot == boot_id():
            for name, value in known.settings.items():
                (self._proc / "sys" / name).write_text(value)
            if not known.netns_mounted:
                self._remove_netns_folder()
        for folder in known.absent if known else ():
            self._remove_empty(Path(folder))
        self._note.unlink(missing_ok=True)

    def mounts(self, below: Path | None = None) -> list[str]:
        """Mount points, below a folder if one is given, innermost first."""
        points = [line.split()[1] for line in (self._proc / "mounts").read_text().splitlines()]
        decoded = [point.replace("\\040", " ") for point in points]
        return sorted((p for p in decoded if below is None or p.startswith(f"{below}/")), reverse=True)

    def unmount_all(self) -> list[str]:
        """Unmount everything below the state folder. Returns what is still mounted."""
        for point in self.mounts(self._layout.root):
            self._run(["umount", "-l", point], check=False)
        return self.mounts(self._layout.root)

    def _read(self) -> _Before | None:
        try:
            data = json.loads(self._note.read_text())
            return _Before(**{**data, "absent": tuple(data["absent"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _remove_log_links(self) -> None:
        folder = Path("/var/log/containers")
        for link in folder.iterdir() if folder.is_dir() else ():
            if link.is_symlink() and str(link.readlink()).startswith(f"{self._layout.root}/"):
                link.unlink(missing_ok=True)

    def _remove_netns_folder(self) -> None:
        folder = Path("/run/netns")
        if folder.is_dir() and not any(folder.iterdir()):
            self._run(["umount", str(folder)], check=False)
            self._remove_empty(folder)

    @staticmethod
    def _remove_empty(folder: Path) -> None:
        # The kubelet's two sockets and its checkpoint are its own; anything else in such a folder keeps it.
        for name in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"):
            if folder.name in ("device-plugins", "pod-resources"):
                (folder / name).unlink(missing_ok=True)
        try:
            os.rmdir(folder)  # noqa: PTH106 -- refuses a folder with content, which is the point
        except OSError:
            return
