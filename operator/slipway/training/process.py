"""Runs the user's code in a process of its own, and tells how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO

from slipway.training import cgroup, contract
from slipway.training.layout import ChildFailure, Workspace, read_document
from slipway.training.log import LogFile, size_text

GRACE_SECONDS = 5.0
"""Seconds between asking the user's process to end and killing it."""
_DRAIN_SECONDS = 5.0
_POLL_SECONDS = 0.25
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Ended:
    """How the process ended: `reason` is a constant of the contract, empty when it ended well. `seconds` it took."""

    reason: str
    message: str
    seconds: float


class Stop:
    """Set when the run is to end early: by a signal to this process."""

    def __init__(self) -> None:
        self._event = Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def on_signals(self) -> None:
        """SIGTERM and SIGINT set it, instead of ending this process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())


class Stopped(Exception):
    """Work was given up before it had ended; its argument is the reason, a constant of the contract."""


def until_stopped(call: Callable[[], None], stop: Stop, seconds: float | None) -> None:
    """`call` in a thread that is left behind when the pod is told to end or `seconds` have passed. Raises what `call`
    raises; Stopped."""
    errors: list[BaseException] = []

    def body() -> None:
        try:
            call()
        except BaseException as error:  # handed over to the caller's thread
            errors.append(error)

    thread = Thread(target=body, daemon=True)
    thread.start()
    end = None if seconds is None else time.monotonic() + seconds
    while thread.is_alive():
        thread.join(0.1)
        if stop:
            raise Stopped(contract.POD_FAILED)
        if end is not None and time.monotonic() > end and thread.is_alive():
            raise Stopped(contract.DEADLINE_EXCEEDED)
    for error in errors:
        raise error


def child_environment(base: Mapping[str, str], workspace: Workspace, *, cpus: int | None) -> dict[str, str]:
    """`base` without the store's credentials and Slipway's own variables, with what user code may rely on. A CPU
    limit becomes the number of threads of numeric libraries, which see the node's CPUs otherwise."""
    kept = {name: value for name, value in base.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
    defaults = {"PYTHONHASHSEED": "0", "ORT_DISABLE_TELEMETRY": "1"}
    if cpus is not None:
        defaults |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cpus))
    forced = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", **workspace.variables()}
    return {**defaults, **kept, **forced}


def hide_own_environment() -> None:
    """Keeps processes of the same user from reading this one's environment and memory, where the store's credentials
    are (Linux: PR_SET_DUMPABLE, see proc(5)). Best effort: elsewhere it does nothing."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def run_child(
    workspace: Workspace,
    environment: Mapping[str, str],
    log: LogFile,
    *,
    source: Path,
    stop: Stop,
    deadline_seconds: float | None = None,
    grace_seconds: float = GRACE_SECONDS,
    cgroup_root: Path = cgroup.ROOT,
) -> Ended:
    """Runs `slipway.training.child` to its end, to the deadline (counted from now), or until `stop` is set."""
    workspace.failure.unlink(missing_ok=True)
    kills_before = cgroup.oom_kills(cgroup_root)
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "slipway.training.child", str(workspace.root)],
        cwd=source,
        env=child_environment(environment, workspace, cpus=cgroup.cpu_limit(cgroup_root)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    reader = Thread(target=_copy, args=(process.stdout, log), daemon=True)
    reader.start()
    ended = _wait(process, stop, started, deadline_seconds, grace_seconds)
    seconds = time.monotonic() - started
    # What the user's code left running would keep the pipe open, and could still write to the results.
    _signal(process, signal.SIGKILL)
    reader.join(_DRAIN_SECONDS)
    if ended is not None:
        return Ended(*ended, seconds)
    killed_for_memory = cgroup.oom_kills(cgroup_root) > kills_before
    return Ended(*_verdict(process.returncode, workspace, killed_for_memory, cgroup_root), seconds)


def _wait(
    process: subprocess.Popen[bytes], stop: Stop, started: float, deadline: float | None, grace: float
) -> tuple[str, str] | None:
    """Waits for the end; the reason when it was this side that ended it."""
    while process.poll() is None:
        elapsed = time.monotonic() - started
        if deadline is not None and elapsed >= deadline:
            _terminate(process, grace)
            return contract.DEADLINE_EXCEEDED, f"the training did not end within its {deadline:.0f} s (deadlineSeconds)"
        if stop:
            _terminate(process, grace)
            if deadline is not None:
                return contract.POD_FAILED, f"the pod was told to end after {elapsed:.0f} s: evicted, drained or deleted"
            return contract.DEADLINE_EXCEEDED, f"the pod was told to end after {elapsed:.0f} s: deadline passed, or deleted"
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS if deadline is None else min(_POLL_SECONDS, deadline - elapsed))
    return None


def _terminate(process: subprocess.Popen[bytes], grace: float) -> None:
    _signal(process, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To the process and all that it started and that stayed in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _copy(source: BinaryIO, log: LogFile) -> None:
    """Copies to the log as lines come, until all writers have closed their end."""
    with suppress(OSError, ValueError):
        while data := os.read(source.fileno(), 1 << 16):
            log.write(data)


def _verdict(code: int, workspace: Workspace, killed_for_memory: bool, cgroup_root: Path) -> tuple[str, str]:
    if code == 0:
        return "", ""
    failure = read_document(workspace.failure, ChildFailure)
    if failure is not None:
        return failure.reason, failure.message
    if code > 0:
        return contract.TRAINING_FAILED, f"the training process ended with exit code {code} and no exception; see its log"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    if -code == signal.SIGKILL and killed_for_memory:
        limit = cgroup.memory_limit(cgroup_root)
        size = f" of {size_text(limit)}" if limit else ""
        return (
            contract.OUT_OF_MEMORY,
            f"the training needed more memory than its limit{size}: raise trainer.resources.limits.memory",
        )
    hint = " (a crash in native code; the log holds the Python frames)" if -code in (signal.SIGSEGV, signal.SIGBUS) else ""
    return contract.TRAINING_FAILED, f"the training process was killed by {name}{hint}"
