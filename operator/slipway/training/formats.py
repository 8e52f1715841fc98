"""Which format a model file has, told by its content and not by its name. Standard library only; nothing is loaded, but for
`signature`, which ONNX Runtime reads where it is installed.

Formats: `ONNX` and `SKOPS` are taken; a pickle in any wrapping is refused, because loading one runs what it says.
Sources: onnx.proto (field numbers of ModelProto), the skops persistence format (a zip archive with ``schema.json``),
the pickle opcodes of `pickletools`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from slipway.training.errors import FormatRefused

if TYPE_CHECKING:
    from slipway.registry.records import Signature

ONNX = "onnx"
SKOPS = "skops"
MEDIA_TYPES = {ONNX: "application/vnd.onnx", SKOPS: "application/vnd.skops"}

_MODEL_PROTO = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of onnx.ModelProto and their wire types."""
_GRAPH, _OPSET = 7, 8
_PEEK = 4096
_OLD_PICKLE = re.compile(rb"\A(?:c[\w.]+\n[\w.]+\n|\((?:[dl]p\d+\n|i[\w.]+\n[\w.]+\n|c[\w.]+\n[\w.]+\n))")


def sniff(path: Path) -> str | None:
    """`ONNX`, `SKOPS`, or None for anything else that is harmless. Raises FormatRefused for a pickle, joblib included,
    and for an archive that holds one."""
    with path.open("rb") as file:
        head = file.read(_PEEK)
        if zipfile.is_zipfile(path):
            return _sniff_zip(path)
        if wrapped := _pickle_in(path, head):
            raise refused(path.name, wrapped)
        file.seek(0)
        return ONNX if head and _is_onnx(file, path.stat().st_size) else None


def signature(model: Path, kind: str) -> Signature | None:
    """What a model file of format `kind` takes and gives, where that can be told: of ONNX, with ONNX Runtime installed. Raises
    FormatRefused for a file that ONNX Runtime cannot load."""
    if kind != ONNX:
        return None
    try:
        from slipway.training.onnx_file import open_session, read_signature

        return read_signature(open_session(model))
    except ImportError:
        return None


def refused(name: str, kind: str) -> FormatRefused:
    """The error for a pickle named `name`."""
    return FormatRefused(
        f"{name} is a {kind}: loading it would run whatever code it holds, so it is refused. "
        "Give the estimator itself to run.save_model(model, X=X), or save it as .onnx or .skops"
    )


def _sniff_zip(path: Path) -> str | None:
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if "schema.json" in names:
            return SKOPS
        if any(name.endswith(("data.pkl", ".pkl", ".pickle", ".joblib")) for name in names):
            raise refused(path.name, "zip archive with a pickle in it (as PyTorch writes)")
    return None


def _pickle_in(path: Path, head: bytes) -> str | None:
    if _is_pickle(head):
        return "pickle"
    return "compressed pickle (as joblib writes)" if _is_pickle(_decompressed(path, head)) else None


def _is_pickle(head: bytes) -> bool:
    return (len(head) > 2 and head[0] == 0x80 and head[1] <= 5) or bool(_OLD_PICKLE.match(head))


def _decompressed(path: Path, head: bytes) -> bytes:
    """The first bytes of what the file holds, if it is compressed in a way that joblib offers; else nothing."""
    with suppress(zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        for magic, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open)):
            if head.startswith(magic):
                with opened(path, "rb") as file:
                    return bytes(file.read(_PEEK))
        if head.startswith(b"\x5d\x00\x00"):
            with lzma.open(path, format=lzma.FORMAT_ALONE) as file:
                return file.read(_PEEK)
        if head[:1] == b"\x78":
            return zlib.decompressobj().decompress(head, _PEEK)
    return b""


def _is_onnx(file: BinaryIO, size: int) -> bool:
    """Whether the whole file is a protobuf message with ModelProto's fields, among them a graph and an opset. Reads a
    few bytes per field: files may be gigabytes."""
    seen = set()
    while file.tell() < size:
        tag = _varint(file)
        if tag is None or _MODEL_PROTO.get(tag >> 3) != tag & 7:
            return False
        seen.add(tag >> 3)
        value = _varint(file)
        if value is None:
            return False
        if tag & 7 == 2:
            if file.tell() + value > size:
                return False
            file.seek(value, 1)
    return {_GRAPH, _OPSET} <= seen


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None
