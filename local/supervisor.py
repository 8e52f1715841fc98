"""Processes that live as long as their user, and a temporary folder for them. See :mod:`local.guard` for how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local import guard
from local.errors import LocalError
from local.probe import tail
from local.settings import daemon_environment


class Supervisor:
    """Starts and ends named processes; everything is gone after :meth:`close`, or after the death of this process.

    Safe to use from several threads.
    """

    def __init__(self, prefix: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        """For the processes' files, mode 0700. Removed at the end."""
        self._lock = threading.Lock()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(guard.__file__)), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def spawn(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start a process and return its pid. Raises LocalError if it cannot be started or runs already."""
        log = str(self.log(name))
        pid: int = self._ask(do="spawn", name=name, argv=list(argv), env=dict(env or daemon_environment()), log=log)["pid"]
        return pid

    def code(self, name: str) -> int | None:
        """The exit code of a process, None while it runs."""
        code: int | None = self._ask(do="poll", name=name)["code"]
        return code

    def stop(self, name: str, *, kill: bool = False, grace: float = 10.0) -> None:
        """End a process with SIGTERM, after `grace` seconds with SIGKILL; with `kill` at once. Fine if it has ended."""
        number = signal.SIGKILL if kill else signal.SIGTERM
        self._ask(do="stop", name=name, signal_number=int(number), grace=grace)

    def remove_at_end(self, name: str, paths: Sequence[Path]) -> None:
        """Have files removed at the end that a process is known to leave outside the folder."""
        self._ask(do="remove_at_end", name=name, paths=[str(path) for path in paths])

    def log(self, name: str) -> Path:
        """The file with a process's output."""
        return self.folder / f"{name}.log"

    def ended(self, *names: str) -> str | None:
        """A sentence with the last lines of its log if one of the processes has ended, None while all run."""
        for name in names:
            code = self.code(name)
            if code is not None:
                return f"{name} ended with {code}. Its last words:\n{tail(self.log(name))}"
        return None

    def close(self) -> None:
        """End all processes and remove the folder. Can be repeated."""
        with self._lock:
            if self._guard.stdin and not self._guard.stdin.closed:
                self._guard.stdin.close()
            try:
                self._guard.wait(30)
            except subprocess.TimeoutExpired:
                self._guard.kill()  # the kernel kills its processes
                self._guard.wait()
            if self._guard.stdout:
                self._guard.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        with self._lock:
            if self._guard.stdin is None or self._guard.stdout is None or self._guard.stdin.closed:
                raise LocalError("the supervisor is closed")
            try:
                self._guard.stdin.write(json.dumps(request) + "\n")
                line = self._guard.stdout.readline()
            except OSError as error:
                raise LocalError(f"the guard of the processes is gone: {error}") from error
        if not line:
            raise LocalError("the guard of the processes is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise LocalError(f"{request.get('name')}: {answer['error']}")
        return answer
