"""Debian's Prometheus, out of its package and without installing that: it would start a server."""

from __future__ import annotations

from local import debian
from local.shell import find


def program(name: str) -> str:
    """Path of ``prometheus`` or ``promtool``: the one on the path, else of the package, which is kept."""
    return str(find(name) or debian.unpacked("prometheus", ["prometheus"]) / "usr/bin" / name)
