"""The peers and the load generator, each installed once outside of the tree, in a folder that its pins name."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
CACHE = Path(os.environ.get("SLIPWAY_BENCH_CACHE", "~/.cache/slipway/bench")).expanduser()
WRK_PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")


def peer_python(name: str) -> Path:
    """The Python of the virtual environment that holds what ``peers/<name>.txt`` pins. Made at the first call, which takes
    a minute and needs a package index. Raises CalledProcessError."""
    pins = PEERS / f"{name}.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(pins.read_bytes() + version.encode()).hexdigest()[:16]
    folder = CACHE / f"{name}-{key}"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv") or "uv"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), "--requirement", str(pins)], check=True)
        (folder / ".ready").touch()
    return python


def wrk() -> tuple[Path, dict[str, str]]:
    """The load generator: the machine's, or Debian's packages unpacked; and what it needs in its environment."""
    found = shutil.which("wrk")
    if found:
        return Path(found), {}
    folder = CACHE / "wrk"
    program = folder / "usr" / "bin" / "wrk"
    if not program.exists():
        with tempfile.TemporaryDirectory() as downloads:
            subprocess.run(["apt-get", "download", *WRK_PACKAGES], cwd=downloads, check=True, stdout=subprocess.DEVNULL)
            for package in Path(downloads).glob("*.deb"):
                subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    libraries = ":".join(str(path) for path in (folder / "usr" / "lib").iterdir() if path.is_dir())
    return program, {"LD_LIBRARY_PATH": libraries}
