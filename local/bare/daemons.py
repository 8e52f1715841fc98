"""Processes that outlive the command that starts them, and are known again by the next one.

A pid alone may name somebody else's process later. Pid, start time and boot id together are ours.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local.settings import daemon_environment

_LOG_LIMIT = 20 * 2**20


def boot_id() -> str:
    """An identifier that changes with each start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None if it is gone. A zombie is gone."""
    try:
        content = Path(f"/proc/{pid}/stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    fields = content.rpartition(")")[2].split()
    # The state is the first field after the name, the start time the twentieth.
    return None if fields[0] in "ZX" else fields[19]


@dataclass(frozen=True)
class Record:
    """What is written down about a process that was started."""

    pid: int
    start: str
    boot: str
    inputs: str
    """Digest of its command line and configuration."""


class Daemons:
    """The daemons of one cluster. Their records are files in the folder of the logs."""

    def __init__(self, folder: Path, wrapper: Sequence[str] = ()) -> None:
        self._folder = folder
        self._wrapper = tuple(wrapper)
        self._children: list[subprocess.Popen[bytes]] = []  # kept so that they are reaped while this process lives

    def log(self, name: str) -> Path:
        """File with a daemon's output."""
        return self._folder / f"{name}.log"

    def pid(self, name: str) -> int | None:
        """The pid of a daemon of ours that is alive."""
        record = self._read(name)
        return record.pid if record and self._alive(record) else None

    def current(self, name: str, argv: Sequence[str], files: Iterable[Path] = ()) -> bool:
        """Whether a daemon is alive and runs with this command line and these configuration files."""
        record = self._read(name)
        try:
            return bool(record and self._alive(record) and record.inputs == _digest(argv, files))
        except OSError:
            return False

    def start(self, name: str, argv: Sequence[str], *, files: Iterable[Path] = (), env: Mapping[str, str] | None = None) -> bool:
        """Start a daemon unless it runs with this command line and these configuration files; if it runs with others, restart it.

        Returns whether it was started.
        """
        inputs = _digest(argv, files)
        record = self._read(name)
        if record and self._alive(record):
            if record.inputs == inputs:
                return False
            self.stop([name])
        self._rotate(name)
        with self.log(name).open("ab") as output:
            child = subprocess.Popen(
                [*self._wrapper, *argv],
                env=dict(env or daemon_environment()),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )
        self._children.append(child)
        started = Record(child.pid, start_time(child.pid) or "ended", boot_id(), inputs)
        _replace(self._record(name), json.dumps(asdict(started)))
        return True

    def stop(self, names: Sequence[str], *, grace: float = 3.0, kill: bool = False) -> None:
        """End daemons together and wait for the end of each: SIGTERM, then SIGKILL after `grace` seconds, or `kill` at once."""
        first = signal.SIGKILL if kill else signal.SIGTERM
        for name in names:
            self._signal(name, first)
        deadline = time.monotonic() + grace
        for name in names:
            while self.pid(name) is not None:
                if time.monotonic() > deadline:
                    self._signal(name, signal.SIGKILL)
                time.sleep(0.02)
            self._record(name).unlink(missing_ok=True)

    def ended(self, names: Sequence[str]) -> str | None:
        """The name of the first daemon that is not alive, None if all are."""
        return next((name for name in names if self.pid(name) is None), None)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self.pid(name)
        if pid is not None:
            kill_pid(pid, number)

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, name: str) -> Record | None:
        try:
            return Record(**json.loads(self._record(name).read_text()))
        except (OSError, ValueError, TypeError):
            return None  # never started, or the file did not survive a power cut

    def _alive(self, record: Record) -> bool:
        return record.boot == boot_id() and start_time(record.pid) == record.start

    def _rotate(self, name: str) -> None:
        log = self.log(name)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))


def kill_pid(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process; fine if it is gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _digest(argv: Sequence[str], files: Iterable[Path]) -> str:
    digest = hashlib.sha256("\0".join(argv).encode())
    for file in files:
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()


def _replace(path: Path, text: str) -> None:
    # In one step: an interruption leaves the old content or the new one.
    work = path.with_suffix(path.suffix + ".new")
    work.write_text(text)
    work.replace(path)


def write_if_different(path: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file in one step, unless it has this content already (kube-proxy ends when its file is touched)."""
    try:
        if path.read_text() == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass  # not there, or unreadable after a power cut: written anew
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_suffix(path.suffix + ".new")
    work.touch(mode)
    work.chmod(mode)
    work.write_text(text)
    work.replace(path)
    return True
