"""Archives from strangers: only plain files come out, inside one folder, within limits. A format is told by content."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from slipway.sources.errors import SourceInvalid
from slipway.sources.tree import TreeWriter

_CHUNK = 1 << 18
ACCEPTED = ".py, .tar.gz, .tgz, .tar or .zip"
_TAR_OVERHEAD = 64 << 20
"""Bytes that a tar may hold besides its files' content: headers and padding."""


def unpack(path: Path, name: str, writer: TreeWriter, limit: int) -> None:
    """Unpacks the archive at `path` with `writer`; `name` is what it is called, for errors; `limit` in bytes bounds
    what is decompressed. Raises SourceInvalid."""
    with path.open("rb") as reader:
        magic = reader.read(512)
    try:
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(path) as unzipped:
                _untar(cast("BinaryIO", unzipped), name, writer, limit)
        elif magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            _unzip(path, name, writer)
        elif magic[257:262] == b"ustar" or (magic and not magic.strip(b"\0")):
            with path.open("rb") as reader:
                _untar(reader, name, writer, limit)
        else:
            begins = f"it begins with {magic[:16]!r}" if magic else "it is empty"
            raise SourceInvalid(f"{name} is no archive ({begins}): give {ACCEPTED}")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, zlib.error, NotImplementedError) as error:
        raise SourceInvalid(f"{name} is damaged, or no archive of its kind: {error}: upload it again") from error
    except (UnicodeError, RuntimeError) as error:
        raise SourceInvalid(f"{name} cannot be unpacked: {error}") from error


def _untar(reader: BinaryIO, name: str, writer: TreeWriter, limit: int) -> None:
    raw = _Bounded(reader, limit + _TAR_OVERHEAD, name)
    bounded = io.BufferedReader(raw, _CHUNK)
    with tarfile.open(fileobj=bounded, mode="r|") as archive:
        for member in archive:
            path = _normal(member.name)
            if member.isdir():
                continue
            if member.issym() or member.islnk():
                kind = "a link" if member.issym() else "a hard link"
                raise SourceInvalid(
                    f"{name}: {member.name} is {kind}: pack the file itself (tar --dereference --hard-dereference)"
                )
            if not member.isreg():
                raise SourceInvalid(f"{name}: {member.name} is neither a file nor a folder")
            content = archive.extractfile(member)
            if content is None:
                raise SourceInvalid(f"{name}: {member.name} has no content")
            writer.write(path, _pieces(cast("BinaryIO", content)), executable=bool(member.mode & 0o100))
    while bounded.read(_CHUNK):
        pass  # to the end, where gzip compares its checksum
    if raw.tail.strip(b"\0"):
        # tarfile takes one that was cut between two files for a shorter one.
        raise tarfile.ReadError("its end is missing")


def _unzip(path: Path, name: str, writer: TreeWriter) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            mode = member.external_attr >> 16
            if stat.S_ISLNK(mode):
                raise SourceInvalid(f"{name}: {member.filename} is a link: pack the file itself")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise SourceInvalid(f"{name}: {member.filename} is neither a file nor a folder")
            if member.flag_bits & 1:
                raise SourceInvalid(f"{name}: {member.filename} is encrypted: pack it without a password")
            with archive.open(member) as content:
                writer.write(_normal(member.filename), _pieces(cast("BinaryIO", content)), executable=bool(mode & 0o100))


def _normal(path: str) -> str:
    """Archives made by ``tar c .`` put ./ in front of everything."""
    while path.startswith("./"):
        path = path[2:]
    return path.rstrip("/") if path != "/" else path


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(_CHUNK):
        yield piece


class _Bounded(io.RawIOBase):
    """Reads at most `limit` bytes: what a small archive unpacks to may have no end."""

    def __init__(self, reader: BinaryIO, limit: int, name: str) -> None:
        self._reader = reader
        self._left = limit
        self._name = name
        self._limit = limit
        self.tail = b"\1"
        """The last bytes that were read, at most a block of a tar."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._reader.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise SourceInvalid(f"{self._name}: more than {self._limit >> 20} MiB when unpacked: put data into inputs")
        if piece:
            self.tail = (self.tail + piece)[-tarfile.BLOCKSIZE :]
        buffer[: len(piece)] = piece
        return len(piece)
