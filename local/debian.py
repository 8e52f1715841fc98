"""Packages of Debian and Ubuntu: installed, or only unpacked, when a program is not on the machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from local import settings
from local.errors import CommandError, PreflightError
from local.settings import daemon_environment
from local.shell import find, run

SERVICES = frozenset({"containerd", "docker-registry"})
"""Debian starts these by itself, the registry on all interfaces."""


def can_install() -> bool:
    return os.geteuid() == 0 and find("apt-get") is not None


def install(packages: Sequence[str]) -> None:
    """Raises PreflightError. Services that come with them are not started: only the programs are wanted."""
    with _one_at_a_time():
        _apt("install", "-y", "--no-install-recommends", *packages)
    for service in SERVICES & set(packages):
        run(["systemctl", "disable", "--now", "--quiet", service], check=False)


def installed(program: str, package: str) -> Path:
    """The program on the path, after its package is installed if need be. Raises PreflightError."""
    found = find(program)
    if found is None and can_install():
        install([package])
        found = find(program)
    if found is None:
        raise PreflightError([f"missing: {program}. Install it (Debian: apt-get install {package})"])
    return found


def unpacked(name: str, packages: Iterable[str]) -> Path:
    """A folder of the cache with the packages' files, which are not installed: that would start a server. Raises PreflightError."""
    kept = settings.read().cache / name
    with _one_at_a_time():
        if kept.exists():
            return kept
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            work, made = Path(folder), Path(folder) / "root"
            _apt("download", *packages, folder=work)
            for package in work.glob("*.deb"):
                run(["dpkg", "-x", str(package), str(made)])
            made.rename(kept)
    return kept


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Tests that run side by side may all find the same thing missing."""
    cache = settings.read().cache
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".debian.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _apt(*words: str, folder: Path | None = None) -> None:
    environment = daemon_environment(DEBIAN_FRONTEND="noninteractive")
    try:
        try:
            run(["apt-get", *words], env=environment, cwd=folder)
        except CommandError:
            run(["apt-get", "update"], env=environment)  # the lists were old, or empty as in most images
            run(["apt-get", *words], env=environment, cwd=folder)
    except CommandError as error:
        raise PreflightError([f"apt-get {' '.join(words)} failed: {error}"]) from error
