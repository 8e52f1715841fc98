"""Runs uv, which resolves and installs Python packages, and says what it said in few words."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.images.errors import ImageError, ToolMissing

TIMEOUT = 1800.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]+(?::[^/\s@]*)?@")
_NOISE = re.compile(r"^(warning: |Resolved |Downloading |Prepared |Using |Installed |\s*Downloaded |Updated |$)")
LONGEST = 1200
"""Characters of uv's words that a message holds."""


class UvFailed(ImageError):
    """uv ended with an error. `words` is what it said, without credentials, progress and colours."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


def program() -> str:
    """The uv of this Python environment, else the one on the path. Raises ToolMissing."""
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        raise ToolMissing("uv is not installed: pip install 'slipway[images]'")
    return found


def run(
    arguments: Sequence[str], *, environ: Mapping[str, str], cwd: Path, timeout: float = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Runs uv in `cwd`. Raises UvFailed, ToolMissing."""
    command = [program(), *arguments, "--color", "never", "--no-progress"]
    try:
        done = subprocess.run(command, cwd=cwd, env=dict(environ), capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise UvFailed(f"no answer from the package index within {timeout:g} s") from error
    if done.returncode != 0:
        raise UvFailed(shortened(done.stderr or done.stdout))
    return done


def install(
    lock: str,
    target: Path,
    *,
    work: Path,
    environ: Mapping[str, str],
    python_version: str,
    platform: str,
    sdists: bool = False,
    options: Sequence[str] = (),
) -> None:
    """Unpacks the packages of `lock` (``name==version --hash=…`` lines, complete) under the folder `target`.

    Hashes are checked. Only wheels, unless `sdists`: those run code of the package here. Raises UvFailed."""
    lock_file = work / "lock.txt"
    lock_file.write_text(lock)
    arguments = ["pip", "install", "--target", str(target), "--no-deps", "--require-hashes", "-r", str(lock_file)]
    arguments += ["--python", sys.executable, "--python-version", python_version, "--python-platform", platform]
    if not sdists:
        arguments += ["--only-binary", ":all:"]
    run([*arguments, *options], environ=environ, cwd=work)
    for name in (".lock", ".gitignore", "CACHEDIR.TAG"):
        (target / name).unlink(missing_ok=True)


def shortened(text: str) -> str:
    """What uv wrote, without what is of no use in a message: `LONGEST` characters of it at most, credentials hidden."""
    clean = _CREDENTIALS.sub("***@", _ANSI.sub("", text))
    lines = [line.strip() for line in clean.splitlines() if not _NOISE.match(line)]
    lines = [line.removeprefix("error: ") for line in lines]
    lines = [f": {line.removeprefix('cause: ')}" if line.startswith("cause: ") else line for line in lines]
    words = " ".join(" ".join(lines).replace(" : ", ": ").replace("╰─▶", "").replace("├─▶", "").replace("×", "").split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
