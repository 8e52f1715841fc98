"""Layers of installed Python packages: installed for an interpreter and platform, trimmed, compiled."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from slipway.images import bytecode, entries
from slipway.images.entries import Entry

_SOURCES = frozenset({".a", ".c", ".cc", ".cpp", ".h", ".hpp", ".lib", ".pxd", ".pxi", ".pyi", ".pyx"})
_TEST_FOLDERS = frozenset({"tests"})
_DROPPED = frozenset({"onnx/backend/test", "pyarrow/include", "numpy/_core/include", "pyarrow/src"})
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")


@dataclass(frozen=True, order=True)
class Package:
    """An installed distribution. `name` is normalised: lower case, single dashes."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def normalised(name: str) -> str:
    """A package's name as packaging standards compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(line: str) -> Package | None:
    """The package that a line of a lock pins; None for other lines."""
    match = _REQUIREMENT.match(line)
    return Package(normalised(match["name"]), match["version"]) if match else None


def installed(target: Path) -> tuple[Package, ...]:
    """The distributions under `target`, by their own metadata."""
    found = []
    for metadata in target.glob("*.dist-info/METADATA"):
        headers = HeaderParser().parsestr(metadata.read_text("utf-8", "replace"), headersonly=True)
        found.append(Package(normalised(str(headers["Name"])), str(headers["Version"])))
    return tuple(sorted(found))


def write_stubs(packages: Iterable[str], folder: Path) -> None:
    """Wheels without content for ``name==version`` each, so that a resolver takes packages that are in a base image for
    granted without an index."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in packages:
        package = locked(line)
        if package is None:
            continue
        stem = f"{package.name.replace('-', '_')}-{package.version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
            info = f"{stem}.dist-info"
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")


def tidy(target: Path) -> None:
    """Takes out what an installer wrote for this machine: console scripts, which name its interpreter, and their lines in
    the RECORD files. Programs in ``bin`` stay. Use ``python -m`` in the image instead."""
    for script in sorted(target.glob("bin/*")):
        with script.open("rb") as reader:
            if reader.read(2) == b"#!":
                script.unlink()
    for record in target.glob("*.dist-info/RECORD"):
        kept = [
            line
            for line in record.read_text("utf-8").splitlines()
            if not (line.startswith(("bin/", "../")) or "__pycache__/" in line.partition(",")[0])
        ]
        temporary = record.with_name("RECORD.new")  # not in place: the installer's cache may share the file
        temporary.write_text("\n".join(sorted(kept)) + "\n", "utf-8")
        temporary.replace(record)


def useful(path: PurePosixPath) -> bool:
    """Whether a file of an installed package is of use where nothing is compiled and no package tests itself.

    Licences, metadata and type markers stay."""
    if path.name == "__pycache__" or path.suffix in _SOURCES or str(path) in _DROPPED:
        return False
    return path.name not in _TEST_FOLDERS or ".dist-info" in str(path)


def not_cache(path: PurePosixPath) -> bool:
    """Everything but bytecode that came along."""
    return path.name != "__pycache__"


def layer_entries(target: Path, prefix: str, work: Path, *, python: Path | None, trim: bool) -> Iterator[Entry]:
    """The packages under `target` at `prefix` in the image, with bytecode made by `python` (None: without any).

    `work` is a folder for the bytecode, and must live until the entries are packed."""
    found = list(entries.tree(target, prefix, keep=useful if trim else not_cache))
    yield from found
    if python is None:
        return
    sources = [
        str(entry.source.relative_to(target))
        for entry in found
        if isinstance(entry.source, Path) and entry.path.endswith(".py") and entry.source.is_relative_to(target)
    ]
    out = work / "bytecode"
    out.mkdir(parents=True)
    bytecode.compile_files(target, sources, prefix, out, python=python)
    yield from entries.tree(out, prefix)
