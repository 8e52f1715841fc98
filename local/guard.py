"""Owns the processes of a test and ends them with it, however the test ends. Standard library only: it starts in 20 ms.

Started as ``python -I -S guard.py FOLDER``. It reads one JSON request per line and answers each with one line. When its input
ends, because its user closed it or died in any way, it kills its processes, removes FOLDER and ends. Should the guard itself be
killed, the kernel kills its processes (PR_SET_PDEATHSIG). That signal is tied to the thread that started a process, which is why
it is this single-threaded program that starts them, and not the test.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with(guard: int) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != guard:  # the guard ended before the line above
        os._exit(1)


class Guard:
    """The processes, by name."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._leftovers: list[Path] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request."""
        try:
            result: dict[str, Any] = getattr(self, "do_" + request.pop("do"))(**request)
        except (OSError, KeyError, TypeError, AttributeError, subprocess.SubprocessError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return result

    def do_spawn(self, name: str, argv: list[str], env: dict[str, str], log: str) -> dict[str, Any]:
        """Start a process with its output appended to the file `log`."""
        running = self._processes.get(name)
        if running and running.poll() is None:
            return {"error": f"{name} runs already"}
        guard = os.getpid()
        with Path(log).open("ab") as output:
            self._processes[name] = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=lambda: _die_with(guard)
            )
        return {"pid": self._processes[name].pid}

    def do_poll(self, name: str) -> dict[str, Any]:
        """The exit code, None while it runs."""
        return {"code": self._processes[name].poll()}

    def do_stop(self, name: str, signal_number: int, grace: float) -> dict[str, Any]:
        """Signal a process, and kill it if it has not ended after `grace` seconds."""
        process = self._processes[name]
        if process.poll() is None:
            process.send_signal(signal_number)
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
        return {"code": process.wait()}

    def do_remove_at_end(self, name: str, paths: list[str]) -> dict[str, Any]:
        """Files outside the folder that a process is known to leave behind."""
        self._leftovers += map(Path, paths)
        return {"name": name}

    def end(self) -> None:
        """Kill all processes, wait for their ends, and remove what they leave outside the folder."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
        for process in self._processes.values():
            process.wait()
        for path in self._leftovers:
            path.unlink(missing_ok=True)


def main() -> None:
    """Serve requests until the input ends."""
    # Ctrl-C is for the user of the guard; the end of the input tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    guard, folder = Guard(), Path(sys.argv[1])
    try:
        for line in sys.stdin:
            print(json.dumps(guard.answer(json.loads(line))), flush=True)
    except BrokenPipeError:
        pass
    finally:
        guard.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
