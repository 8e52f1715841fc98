"""Debian's Prometheus, out of its package and without installing that: it would start a server."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from local.settings import read
from local.shell import find


def program(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``: the one on the path, else of the package, which is kept."""
    found = find(name)
    if found:
        return str(found)
    kept = read().cache / "prometheus"
    wanted = kept / "usr/bin" / name
    if not wanted.exists():
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(["apt-get", "download", "prometheus"], cwd=work, check=True, capture_output=True)
            kept.mkdir(parents=True, exist_ok=True)
            for package in Path(work).glob("prometheus_*.deb"):
                subprocess.run(["dpkg", "-x", str(package), str(kept)], check=True)
    return str(wanted)
