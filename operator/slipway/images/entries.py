"""What goes into a layer, before it is packed: entries with their path in the image, from folders or made up."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from slipway.images.errors import UnsafePath

Kind = Literal["file", "folder", "link"]
Keep = Callable[[PurePosixPath], bool]
"""Whether to pack the file or folder at this path, relative to the folder being packed."""

FOLDER_MODE = 0o755
FILE_MODE = 0o644
PROGRAM_MODE = 0o755


@dataclass(frozen=True)
class Entry:
    """One name in a layer. `path` is relative to the image's root; `mode` holds permission bits only."""

    path: str
    kind: Kind
    mode: int
    source: Path | bytes | None = None
    """Of a file: where its bytes are."""
    size: int = 0
    target: str = ""
    """Of a symbolic link."""


def image_path(path: str) -> str:
    """`path` in the image without a slash at its ends. Raises UnsafePath for ``..``, empty parts and the like."""
    clean = path.strip("/")
    parts = clean.split("/")
    if not clean or any(part in ("", ".", "..") for part in parts) or "\0" in clean:
        raise UnsafePath(f"{path!r} is no path in an image: it is empty or has '.', '..' or empty parts")
    if parts[-1].startswith(".wh."):
        raise UnsafePath(f"{path!r}: names with '.wh.' in front mean deletion in a layer, so no file can have one")
    return clean


def folder(path: str, mode: int = FOLDER_MODE) -> Entry:
    """A folder."""
    return Entry(image_path(path), "folder", mode)


def text(path: str, content: str | bytes, mode: int = FILE_MODE) -> Entry:
    """A file with the given content."""
    data = content.encode() if isinstance(content, str) else content
    return Entry(image_path(path), "file", mode, data, len(data))


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(image_path(path), "link", 0o777, target=target)


def file(path: str, source: Path, mode: int | None = None) -> Entry:
    """A file of this machine; links are followed. Its mode becomes 0755 if its owner may execute it, else 0644."""
    info = source.stat()
    if not stat.S_ISREG(info.st_mode):
        raise UnsafePath(f"{source} is not a regular file")
    usual = PROGRAM_MODE if info.st_mode & stat.S_IXUSR else FILE_MODE
    return Entry(image_path(path), "file", usual if mode is None else mode, source, info.st_size)


def _keep_all(_path: PurePosixPath) -> bool:
    return True


def tree(root: Path, prefix: str, *, keep: Keep = _keep_all) -> Iterator[Entry]:
    """Everything under the folder `root`, at `prefix` in the image. Relative links that stay inside are kept.

    Raises UnsafePath for links that lead out of `root`, for devices, sockets and pipes, and for names that are no
    UTF-8."""
    prefix = image_path(prefix)
    inside = os.path.realpath(root)
    yield folder(prefix)
    yield from _walk(root, PurePosixPath(), prefix, inside, keep)


def _walk(root: Path, relative: PurePosixPath, prefix: str, inside: str, keep: Keep) -> Iterator[Entry]:
    with os.scandir(root / relative) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        below = relative / item.name
        if not keep(below):
            continue
        path = f"{prefix}/{_utf8(below)}"
        if item.is_symlink():
            yield link(path, _checked_target(Path(item.path), below, inside))
        elif item.is_dir():
            yield folder(path)
            yield from _walk(root, below, prefix, inside, keep)
        elif item.is_file():
            yield file(path, Path(item.path))
        else:
            raise UnsafePath(f"{_utf8(below)} is neither file, folder nor link: take it out of the source")


def _utf8(path: PurePosixPath) -> str:
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise UnsafePath(f"the name {shown!r} is not UTF-8: rename it") from error
    return name


def _checked_target(path: Path, below: PurePosixPath, inside: str) -> str:
    target = os.readlink(path)  # noqa: PTH115  Path.readlink would normalise it
    if target.startswith("/"):
        raise UnsafePath(f"{_utf8(below)} is an absolute link to {target!r}: use a relative link inside the source")
    reached = os.path.realpath(path)
    if reached != inside and not reached.startswith(inside + os.sep):
        raise UnsafePath(f"{_utf8(below)} is a link out of the source, to {target!r}: put the file itself there")
    return target


def arranged(entries: Iterable[Entry]) -> list[Entry]:
    """Entries sorted by path, with the folders above them added. Raises UnsafePath when two claim one path.

    A folder may be named more than once; the mode that is not the usual one counts."""
    found: dict[str, Entry] = {}
    for entry in entries:
        before = found.get(entry.path)
        if before is None or (before.kind == entry.kind == "folder" and before.mode == FOLDER_MODE):
            found[entry.path] = entry
        elif not before.kind == entry.kind == "folder":
            raise UnsafePath(f"{entry.path} would be in the layer twice")
    for path in list(found):
        for parent in list(PurePosixPath(path).parents)[:-1]:
            above = found.setdefault(str(parent), Entry(str(parent), "folder", FOLDER_MODE))
            if above.kind != "folder":
                raise UnsafePath(f"{parent} is both a {above.kind} and the folder of {path}")
    return sorted(found.values(), key=lambda entry: entry.path.encode("utf-8", "surrogateescape"))
