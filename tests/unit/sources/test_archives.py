"""Archives that strangers send: what is harmless comes out, the rest is refused before it does harm."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.sources.archives import unpack
from slipway.sources.errors import SourceInvalid
from slipway.sources.tree import Limits, TreeWriter

LIMITS = Limits(size=1 << 20, files=50)


def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "out"


def unpacked(tmp_path: Path, data: bytes, name: str = "code.tar.gz", limits: Limits = LIMITS) -> dict[str, bytes]:
    """What comes out of an archive; nothing may come out anywhere else, whatever is raised."""
    packed = tmp_path / "packed"
    packed.write_bytes(data)
    root = out(tmp_path)
    try:
        unpack(packed, name, TreeWriter(root, f"s3://b/{name}", limits), limits.size)
    finally:
        packed.unlink()
        outside = [path for path in tmp_path.rglob("*") if not path.is_dir() and not path.is_relative_to(root)]
        assert outside == []
        assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def tar(*members: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member, io.BytesIO(b"x" * member.size) if member.isreg() else None)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


FILES = (("train.py", b"print()"), ("pkg/__init__.py", b""), ("pkg/a/b.txt", b"1" * 5000))


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_plain_archives_are_unpacked(tmp_path: Path, mode: str) -> None:
    assert unpacked(tmp_path, tar(special("pkg", tarfile.DIRTYPE), *FILES, mode=mode)) == dict(FILES)


def test_zip_files_are_unpacked(tmp_path: Path) -> None:
    assert unpacked(tmp_path, zipped(("pkg/", b""), *FILES), "code.zip") == dict(FILES)


def test_the_content_tells_the_kind_not_the_name(tmp_path: Path) -> None:
    assert unpacked(tmp_path, zipped(*FILES), "code.tar.gz") == dict(FILES)


def test_names_as_tar_of_a_folder_writes_them(tmp_path: Path) -> None:
    data = tar(special("./", tarfile.DIRTYPE), ("./train.py", b"1"), ("./pkg/x.py", b"2"))
    assert unpacked(tmp_path, data) == {"train.py": b"1", "pkg/x.py": b"2"}


def test_long_and_foreign_names(tmp_path: Path) -> None:
    long = "/".join(["folder" * 10] * 5) + "/日本.py"
    assert unpacked(tmp_path, tar((long, b"1"))) == {long: b"1"}


def test_executables_stay_so_and_nothing_else_does(tmp_path: Path) -> None:
    info = tarfile.TarInfo("run.sh")
    info.size, info.mode, info.uid, info.mtime = 1, 0o4777, 1234, 0
    unpacked(tmp_path, tar(info, ("plain", b"1")))
    assert (out(tmp_path) / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (out(tmp_path) / "plain").stat().st_mode & 0o7777 == 0o644


def symlink_zip() -> bytes:
    info = zipfile.ZipInfo("link")
    info.external_attr = (0o120777 << 16) | 0o777
    return zipped((info, b"/etc/passwd"))


def encrypted_zip() -> bytes:
    data = bytearray(zipped(("secret.py", b"1"), method=zipfile.ZIP_STORED))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(magic) + offset
        data[at : at + 2] = struct.pack("<H", 1)
    return bytes(data)


def lying_zip() -> bytes:
    """Its header says that the member is small."""
    data = bytearray(zipped(("a.py", bytes(3 << 20))))
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(magic) + offset
        data[at : at + 4] = struct.pack("<I", 10)
    return bytes(data)


def pax_bomb() -> bytes:
    """An extended header that is announced to be huge."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    return gzip.compress(header.tobuf(format=tarfile.GNU_FORMAT) + b"0" * (70 << 20))


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "climbing tar": (lambda: tar(("../evil.py", b"1")), "'..' segment"),
    "climbing tar in the middle": (lambda: tar(("a/../../evil.py", b"1")), "'..' segment"),
    "absolute tar": (lambda: tar(("/tmp/evil.py", b"1")), "absolute"),
    "climbing zip": (lambda: zipped(("../evil.py", b"1")), "'..' segment"),
    "absolute zip": (lambda: zipped(("/tmp/evil.py", b"1")), "absolute"),
    "backslash zip": (lambda: zipped(("..\\evil.py", b"1")), "backslash"),
    "link out": (lambda: tar(special("a", tarfile.SYMTYPE, "/etc"), ("a/evil.py", b"1")), "a is a link: pack the file itself"),
    "link inside": (lambda: tar(("a", b"1"), special("b", tarfile.SYMTYPE, "a")), "b is a link"),
    "hard link": (lambda: tar(special("a", tarfile.LNKTYPE, "../../etc/passwd")), "a is a hard link"),
    "zip link": (symlink_zip, "link is a link"),
    "device": (lambda: tar(special("null", tarfile.CHRTYPE)), "neither a file nor a folder"),
    "pipe": (lambda: tar(special("fifo", tarfile.FIFOTYPE)), "neither a file nor a folder"),
    "twice": (lambda: tar(("a", b"1"), ("a", b"2")), "a is there twice"),
    "twice in a zip": (lambda: zipped(("a", b"1"), ("./a", b"2")), "a is there twice"),
    "file and folder": (lambda: tar(("a", b"1"), ("a/b", b"2")), "lies below a file"),
    "folder and file": (lambda: tar(("a/b", b"1"), ("a", b"2")), "both as a file and as a folder"),
    "too many": (lambda: tar(*((f"f{n}", b"") for n in range(60))), "more than 50 files"),
    "too large": (lambda: tar(("a", bytes(1 << 19)), ("b", bytes((1 << 19) + 1))), "more than 1 MiB when unpacked"),
    "bomb": (lambda: tar(("a", bytes(5 << 20))), "MiB when unpacked"),
    "zip bomb": (lambda: zipped(("a", bytes(5 << 20))), "more than 1 MiB"),
    "lying zip": (lying_zip, "damaged"),
    "pax bomb": (pax_bomb, "MiB when unpacked"),
    "encrypted": (encrypted_zip, "encrypted"),
    "not utf-8": (lambda: gzip.compress(raw_name(b"bad\xff.py")), "not UTF-8"),
    "cut gzip": (lambda: tar(*FILES)[:-20], "damaged"),
    "cut tar": (lambda: tar(*FILES, mode="w")[:1500], "damaged"),
    "cut tar between files": (lambda: tar(*FILES, mode="w")[:1024], "damaged"),
    "cut zip": (lambda: zipped(*FILES)[:-30], "damaged"),
    "wrong crc": (lambda: zipped(("a", b"12345"), method=zipfile.ZIP_STORED).replace(b"12345", b"12346"), "damaged"),
    "gzip of rubbish": (lambda: gzip.compress(b"<html>not found</html>" * 100), "damaged"),
    "rubbish": (lambda: b"<html>not found</html>", "begins with b'<html>not found<'"),
    "bzip2": (lambda: tar(*FILES, mode="w:bz2"), "no archive"),
    "empty": (lambda: b"", "it is empty"),
    "deflate only": (lambda: zlib.compress(b"1" * 1000), "no archive"),
}


def raw_name(name: bytes) -> bytes:
    header = bytearray(tarfile.TarInfo("x" * len(name)).tobuf(format=tarfile.USTAR_FORMAT))
    header[: len(name)] = name
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header) + bytes(1024)


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_or_damaged_is_refused_with_its_name(tmp_path: Path, case: str) -> None:
    make, words = HOSTILE[case]
    with pytest.raises(SourceInvalid) as refusal:
        unpacked(tmp_path, make())
    assert words in str(refusal.value)
    assert "code.tar.gz" in str(refusal.value)


def test_leftovers_of_an_earlier_try_are_replaced_and_links_in_the_way_refused(tmp_path: Path) -> None:
    root = out(tmp_path)
    root.mkdir(parents=True)
    (root / "train.py").write_bytes(b"old")
    assert unpacked(tmp_path, tar(("train.py", b"new"))) == {"train.py": b"new"}
    elsewhere = tmp_path / "deep" / "elsewhere"
    elsewhere.mkdir()
    (root / "pkg").symlink_to(elsewhere)
    writer = TreeWriter(root, "s3://b/x")
    with pytest.raises(SourceInvalid, match="is a link"):
        writer.write("pkg/x.py", [b"1"])
    assert list(elsewhere.iterdir()) == []


def test_a_file_is_not_written_through_a_link_of_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "precious")
    TreeWriter(tmp_path / "out", "x").write("a", [b"new"])
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert (tmp_path / "out" / "a").read_bytes() == b"new"
