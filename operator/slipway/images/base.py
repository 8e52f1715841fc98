"""A Python base image, made without root and without a registry: this machine's CPython and the libraries it needs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import certifi

from slipway.images import bytecode, entries
from slipway.images.entries import Entry
from slipway.images.errors import ToolMissing
from slipway.images.interpreter import Interpreter, Libraries, glibc, inspect, libraries, machine

USER_ID = 10001
FORMAT = 1
"""Raised when this module makes other images of the same interpreter."""

_LEFT_OUT = frozenset(
    {
        "__pycache__",
        "dist-packages",
        "ensurepip",
        "idlelib",
        "lib-dynload",
        "lib2to3/tests",
        "site-packages",
        "sqlite3/test",
        "test",
        "tkinter",
        "turtledemo",
        "unittest/test",
        "distutils/tests",
        "ctypes/test",
    }
)
_EXTRA_LIBRARIES = tuple(  # what manylinux wheels may take for granted beyond what the interpreter itself loads
    f"lib{name}"
    for name in (
        *("pthread.so.0", "dl.so.2", "rt.so.1", "util.so.1", "anl.so.1", "m.so.6", "resolv.so.2", "z.so.1"),
        *("nss_dns.so.2", "nss_files.so.2", "stdc++.so.6", "gcc_s.so.1", "gomp.so.1"),
    )
)
_NEEDED_EXTRAS = frozenset({"libstdc++.so.6", "libgcc_s.so.1", "libm.so.6"})
_PASSWD = f"""\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
app:x:{USER_ID}:{USER_ID}:app:/tmp:/sbin/nologin
"""
_GROUP = f"root:x:0:\nnogroup:x:65534:\napp:x:{USER_ID}:\n"
_NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class PythonBase:
    """What a base image of `interpreter` is: the input of its layer, and what its configuration says."""

    interpreter: Interpreter
    glibc: str
    platform: str
    fingerprint: str
    """Changes with anything that the layer is made of."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the image's configuration. The first ones are those of Docker's official Python images."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHON_VERSION": self.interpreter.version,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "SSL_CERT_FILE": CERTIFICATES,
            "HOME": "/tmp",  # noqa: S108  the one folder that can be written with a read-only root
        }

    @property
    def python(self) -> str:
        """The interpreter's path in the image."""
        return f"/usr/local/bin/python{self.interpreter.minor}"


def describe(python: Path) -> PythonBase:
    """Looks at the interpreter `python` without packing anything. Raises ToolMissing."""
    interpreter = inspect(python)
    digest = hashlib.sha256(f"{FORMAT} {interpreter} {glibc()} {_strip()}".encode())
    for path in sorted([interpreter.executable, *_files(interpreter.stdlib)]):
        info = path.stat()
        digest.update(f"{path} {info.st_size} {info.st_mtime_ns}\n".encode())
    digest.update(hashlib.sha256(Path(certifi.where()).read_bytes()).digest())
    return PythonBase(interpreter, glibc(), f"linux/{machine()}", digest.hexdigest())


def layer_entries(base: PythonBase, work: Path) -> Iterator[Entry]:
    """Everything in the base's one layer. `work` is an empty folder for what is made on the way; it must live until
    the entries are packed. Raises ToolMissing."""
    interpreter = base.interpreter
    modules = _extension_modules(interpreter)
    found = _shared([interpreter.executable, *modules])
    stripper = _Stripper(work / "stripped")
    yield from _interpreter(base, modules, stripper)
    yield from _libraries(found, stripper)
    yield from _bytecode(interpreter, work / "bytecode")
    yield entries.folder("tmp", 0o1777)
    for name in ("etc", "root", "var/tmp", "home", "opt", "proc", "sys", "dev", "run"):
        yield entries.folder(name, 0o1777 if name == "var/tmp" else entries.FOLDER_MODE)
    yield entries.text("etc/passwd", _PASSWD)
    yield entries.text("etc/group", _GROUP)
    yield entries.text("etc/nsswitch.conf", _NSSWITCH)
    yield entries.text(CERTIFICATES, Path(certifi.where()).read_bytes())


def _interpreter(base: PythonBase, modules: Iterable[Path], stripper: _Stripper) -> Iterator[Entry]:
    interpreter, name = base.interpreter, f"python{base.interpreter.minor}"
    home = f"usr/local/lib/{name}"
    yield entries.file(base.python, stripper(interpreter.executable), entries.PROGRAM_MODE)
    yield entries.link("usr/local/bin/python3", name)
    yield entries.link("usr/local/bin/python", name)
    for path in _files(interpreter.stdlib):
        relative = path.relative_to(interpreter.stdlib)
        yield entries.file(f"{home}/{relative}", path, entries.FILE_MODE)
    for path in modules:
        yield entries.file(f"{home}/lib-dynload/{path.name}", stripper(path), entries.FILE_MODE)
    yield entries.folder(interpreter.packages)


def _libraries(found: Libraries, stripper: _Stripper) -> Iterator[Entry]:
    yield entries.file(str(found.loader), found.loader, entries.PROGRAM_MODE)
    for name, path in sorted(found.by_name.items()):
        packed = stripper(path) if name.startswith("libpython") else path
        yield entries.file(f"{found.folder}/{name}", packed, entries.FILE_MODE)


def _bytecode(interpreter: Interpreter, out: Path) -> Iterator[Entry]:
    home = f"/usr/local/lib/python{interpreter.minor}"
    names = [str(path.relative_to(interpreter.stdlib)) for path in _files(interpreter.stdlib) if path.suffix == ".py"]
    out.mkdir(parents=True)
    bytecode.compile_files(interpreter.stdlib, names, home, out, python=interpreter.executable)
    yield from entries.tree(out, home)


def _files(stdlib: Path) -> list[Path]:
    """The standard library's own files, without what no image needs."""
    found = []
    for name, folders, files in os.walk(stdlib):
        folder = Path(name)
        below = PurePosixPath(folder.relative_to(stdlib))
        folders[:] = sorted(child for child in folders if not _left_out(below / child))
        found += [folder / child for child in sorted(files)]
    return found


def _left_out(path: PurePosixPath) -> bool:
    return str(path) in _LEFT_OUT or path.name == "__pycache__" or path.name.startswith("config-")


def _extension_modules(interpreter: Interpreter) -> list[Path]:
    if interpreter.dynload is None:
        return []
    found = interpreter.dynload.glob("*.so")
    wanted = (path for path in found if not path.name.startswith(("_tkinter", "_test", "_ctypes_test", "xxlimited")))
    return sorted(wanted)


def _shared(programs: Iterable[Path]) -> Libraries:
    """The libraries of `programs` and those that wheels expect, with everything that these load in turn."""
    own = libraries(programs)
    extra = _extra_libraries(own.folder)
    deeper = libraries(extra.values())
    return Libraries({**deeper.by_name, **extra, **own.by_name}, own.loader, own.folder)


def _extra_libraries(folder: Path) -> dict[str, Path]:
    places = [folder, Path(f"/usr{folder}"), *(Path(place) for place in ("/usr/lib64", "/lib64", "/usr/lib"))]
    found = {}
    for name in _EXTRA_LIBRARIES:
        path = next((place / name for place in places if (place / name).exists()), None)
        if path is not None:
            found[name] = path
    if missing := sorted(_NEEDED_EXTRAS - set(found)):
        raise ToolMissing(f"{', '.join(missing)} not found: wheels need it (Debian packages libstdc++6 and libgcc-s1)")
    return found


def _strip() -> str | None:
    """The program that removes debugging symbols; without it libpython stays 20 MB larger."""
    return shutil.which("strip")


class _Stripper:
    """Gives a copy of a program or library without what only debuggers read, or the file itself where that fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._program = _strip()

    def __call__(self, path: Path) -> Path:
        if self._program is None:
            return path
        out = self._folder / path.name
        command = [self._program, "--strip-unneeded", "-o", str(out), str(path.resolve())]
        done = subprocess.run(command, capture_output=True, timeout=120)
        return out if done.returncode == 0 else path
