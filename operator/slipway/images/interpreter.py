"""What is to be known of a CPython of this machine to copy it into an image: asked of the interpreter itself."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slipway.images.errors import ToolMissing

_ASK = r"""
import json, os, platform, site, sys, sysconfig
site.PREFIXES = ["/usr/local"]
dynload = sysconfig.get_config_var("DESTSHARED") or ""
stdlib = os.path.dirname(os.__file__)
own = os.path.join(stdlib, "lib-dynload")
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": platform.python_version(),
    "executable": os.path.realpath(sys.executable),
    "stdlib": stdlib,
    "dynload": own if os.path.isdir(own) else dynload,
    "packages": site.getsitepackages()[0],
}))
"""
_LIBRARY = re.compile(r"^\s*(?:(?P<name>\S+) => )?(?P<path>/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)
_NOT_FOUND = re.compile(r"^\s*(\S+) => not found$", re.MULTILINE)
_GLIBC = range(17, 41)
"""Minor versions of glibc 2 that the installer knows as manylinux platforms."""


@dataclass(frozen=True)
class Interpreter:
    """A CPython. `packages` is where packages belong when its prefix is ``/usr/local``."""

    version: str
    executable: Path
    stdlib: Path
    dynload: Path | None
    packages: str

    @property
    def minor(self) -> str:
        """As ``3.11``."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True)
class Libraries:
    """Shared libraries by file name, the loader at its own absolute path, and the folder where the C library lives."""

    by_name: dict[str, Path]
    loader: Path
    folder: Path


def running() -> Path:
    """The interpreter that runs this, outside of any virtual environment."""
    return Path(getattr(sys, "_base_executable", "") or sys.executable)


def inspect(python: Path) -> Interpreter:
    """Asks `python`. Raises ToolMissing when it is no CPython that answers."""
    try:
        done = subprocess.run([python, "-I", "-c", _ASK], capture_output=True, text=True, timeout=60, env={})
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissing(f"the interpreter {python} cannot be run: {error}") from error
    if done.returncode != 0:
        raise ToolMissing(f"the interpreter {python} failed: {done.stderr.strip()[-300:]}")
    found = json.loads(done.stdout)
    if found["implementation"] != "cpython":
        raise ToolMissing(f"{python} is {found['implementation']}: a base image is made from CPython")
    dynload = Path(found["dynload"]) if found["dynload"] else None
    return Interpreter(
        version=found["version"],
        executable=Path(found["executable"]),
        stdlib=Path(found["stdlib"]),
        dynload=dynload if dynload and dynload.is_dir() else None,
        packages=found["packages"],
    )


def libraries(programs: Iterable[Path]) -> Libraries:
    """All shared libraries that `programs` load, by ``ldd``. Raises ToolMissing where there is no glibc."""
    ldd = shutil.which("ldd")
    if ldd is None:
        raise ToolMissing("ldd is not installed: it tells the libraries of the interpreter (Debian package libc-bin)")
    paths = [str(path) for path in programs]
    done = subprocess.run([ldd, *paths], capture_output=True, text=True, timeout=120, env={"LC_ALL": "C"})
    missing = sorted(set(_NOT_FOUND.findall(done.stdout)))
    if missing:
        raise ToolMissing(f"libraries of the interpreter are not installed: {', '.join(missing)}")
    by_name: dict[str, Path] = {}
    loader: Path | None = None
    for match in _LIBRARY.finditer(done.stdout):
        path = Path(match["path"])
        if match["name"] is None or path.name.startswith("ld-linux"):
            loader = path
        else:
            by_name[match["name"]] = path
    if loader is None or "libc.so.6" not in by_name:
        raise ToolMissing("the interpreter is not linked with glibc, which the wheels of the images need")
    return Libraries(by_name, loader, by_name["libc.so.6"].parent)


def glibc() -> str:
    """The version of this machine's glibc, as ``2.36``."""
    return platform.libc_ver()[1]


def machine() -> str:
    """This machine as OCI calls it. Raises ToolMissing for those that the images are not made for."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    try:
        return names[platform.machine()]
    except KeyError as error:
        raise ToolMissing(f"images are made for amd64 and arm64, this machine is {platform.machine()}") from error


def wheel_platform(oci_platform: str, glibc_version: str) -> str:
    """The platform whose wheels run on `oci_platform` with that glibc, as uv names it."""
    architecture = {"amd64": "x86_64", "arm64": "aarch64"}[oci_platform.partition("/")[2]]
    major, _, minor = glibc_version.partition(".")
    number = int(minor) if major == "2" and minor.isdigit() else _GLIBC.start
    return f"{architecture}-manylinux_2_{min(max(number, _GLIBC.start), _GLIBC.stop - 1)}"
