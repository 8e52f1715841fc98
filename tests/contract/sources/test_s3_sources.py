"""Code and data in object storage: pinned, then fetched exactly as pinned, or an error that says what changed."""

from __future__ import annotations

import io
import random
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from slipway.registry.blobs import Blobs
from slipway.registry.records import FileEntry, root_digest
from slipway.sources.errors import InputChanged, InputMissing, SourceChanged, SourceInvalid, SourceMissing
from slipway.sources.fetch import fetch_inputs, fetch_source
from slipway.sources.pinned import PinnedInput, PinnedSource
from slipway.sources.resolve import pin_configmap, pin_s3
from slipway.sources.tree import Limits
from slipway.storage.keys import parse_s3
from slipway.storage.memory import MemoryStore
from slipway.storage.port import Stores


def put(stores: Stores, uri: str, data: bytes) -> None:
    location = parse_s3(uri)
    stores(location.bucket).put(location.path, data)


def delete(stores: Stores, uri: str) -> None:
    location = parse_s3(uri)
    stores(location.bucket).delete(location.path)


def source(stores: Stores, uri: str) -> PinnedSource:
    found = pin_s3(stores, uri)
    return PinnedSource(kind="s3", uri=uri, digest=found.digest, s3=found.pinned)


def an_input(stores: Stores, name: str, uri: str) -> PinnedInput:
    found = pin_s3(stores, uri)
    return PinnedInput(name=name, digest=found.digest, s3=found.pinned)


def files_under(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path=path, digest="sha256:" + sha256(data).hexdigest(), size=len(data))


def tar_gz(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


BLOBS = Blobs(MemoryStore())


def test_one_object_is_pinned_by_its_etag(stores: Stores, place: str) -> None:
    put(stores, f"{place}/train.parquet", b"12345")
    found = pin_s3(stores, f"{place}/train.parquet")
    (thing,) = found.pinned.objects
    assert (found.pinned.uri, thing.size) == (f"{place}/train.parquet", 5)
    assert thing.key.endswith("/train.parquet")
    again = pin_s3(stores, f" {place}/train.parquet")
    assert again == found


def test_a_prefix_is_pinned_with_all_below_it(stores: Stores, place: str) -> None:
    for name in ("b.parquet", "a/x.parquet", "a/y.parquet"):
        put(stores, f"{place}/data/{name}", name.encode())
    put(stores, f"{place}/database/no", b"another prefix")
    found = pin_s3(stores, f"{place}/data/")
    assert [thing.key.partition("/data/")[2] for thing in found.pinned.objects] == ["a/x.parquet", "a/y.parquet", "b.parquet"]


def test_an_identity_changes_with_content_and_names_and_not_with_the_place(stores: Stores, place: str) -> None:
    def digest(uri: str) -> str:
        return pin_s3(stores, uri).digest

    put(stores, f"{place}/data/a.py", b"1")
    first = digest(f"{place}/data/")
    assert digest(f"{place}/data/") == first
    put(stores, f"{place}/data/a.py", b"2")
    second = digest(f"{place}/data/")
    put(stores, f"{place}/data/b.py", b"2")
    third = digest(f"{place}/data/")
    delete(stores, f"{place}/data/b.py")
    assert digest(f"{place}/data/") == second
    assert len({first, second, third, digest(f"{place}/data/a.py")}) == 4 or digest(f"{place}/data/a.py") == second


def test_what_is_not_there_is_named_with_a_hint(stores: Stores, place: str) -> None:
    put(stores, f"{place}/data/a.py", b"1")
    with pytest.raises(InputMissing, match=rf"there is no object {place}/data; .* write {place}/data/ for all of them"):
        pin_s3(stores, f"{place}/data")
    with pytest.raises(InputMissing, match=rf"there is no object {place}/date$"):
        pin_s3(stores, f"{place}/date")
    with pytest.raises(InputMissing, match=rf"no objects below {place}/date/"):
        pin_s3(stores, f"{place}/date/")


def test_a_bucket_that_does_not_exist_is_missing(stores: Stores) -> None:
    for uri in ("s3://no-such-bucket-here/a/", "s3://no-such-bucket-here/a"):
        with pytest.raises(InputMissing, match="no-such-bucket-here"):
            pin_s3(stores, uri)


@pytest.mark.parametrize(
    "uri", ["", "train.parquet", "s3:/b/x", "s3://", "http://host/x", "s3://B/x", "s3://bucket/a//b", "s3a://b/x"]
)
def test_a_malformed_uri_is_refused(stores: Stores, uri: str) -> None:
    with pytest.raises(SourceInvalid):
        pin_s3(stores, uri)


def test_a_python_file_is_a_source(stores: Stores, place: str, tmp_path: Path) -> None:
    put(stores, f"{place}/train.py", b"print()")
    record = fetch_source(source(stores, f"{place}/train.py"), tmp_path / "src", stores, BLOBS)
    assert files_under(tmp_path) == {"src/train.py": b"print()"}
    assert (record.kind, record.uri, record.digest) == ("s3", f"{place}/train.py", root_digest([entry("train.py", b"print()")]))


def test_an_archive_is_a_source(stores: Stores, place: str, tmp_path: Path) -> None:
    files = {"train.py": b"print()", "pkg/__init__.py": b""}
    put(stores, f"{place}/Code.TAR.GZ", tar_gz(files))
    record = fetch_source(source(stores, f"{place}/Code.TAR.GZ"), tmp_path / "src", stores, BLOBS)
    assert files_under(tmp_path / "src") == files
    assert record.digest == root_digest([entry(path, data) for path, data in files.items()])


def test_a_prefix_is_a_source_of_the_same_digest_as_an_archive_of_it(stores: Stores, place: str, tmp_path: Path) -> None:
    files = {"train.py": b"print()", "pkg/__init__.py": b""}
    for path, data in files.items():
        put(stores, f"{place}/code/{path}", data)
    put(stores, f"{place}/code.tgz", tar_gz(files))
    one = fetch_source(source(stores, f"{place}/code/"), tmp_path / "one", stores, BLOBS)
    other = fetch_source(source(stores, f"{place}/code.tgz"), tmp_path / "other", stores, BLOBS)
    assert one.digest == other.digest
    assert files_under(tmp_path / "one") == files_under(tmp_path / "other") == files


def test_fetching_twice_into_one_folder_gives_the_same(stores: Stores, place: str, tmp_path: Path) -> None:
    put(stores, f"{place}/code.tgz", tar_gz({"train.py": b"1", "pkg/x.py": b"2"}))
    pinned = source(stores, f"{place}/code.tgz")
    assert fetch_source(pinned, tmp_path, stores, BLOBS) == fetch_source(pinned, tmp_path, stores, BLOBS)


def test_a_source_that_changed_or_went_since_it_was_pinned_is_refused(stores: Stores, place: str, tmp_path: Path) -> None:
    for uri, key in ((f"{place}/train.py", f"{place}/train.py"), (f"{place}/code/", f"{place}/code/a.py")):
        put(stores, key, b"1")
        pinned = source(stores, uri)
        put(stores, key, b"2")
        with pytest.raises(SourceChanged, match=f"{key} was replaced since the build was planned"):
            fetch_source(pinned, tmp_path / "a", stores, BLOBS)
        delete(stores, key)
        with pytest.raises(SourceMissing, match=f"{key} was deleted since the build was planned"):
            fetch_source(pinned, tmp_path / "b", stores, BLOBS)


@pytest.mark.parametrize("name", ["code", "notebook.ipynb", "model.pkl", "code.tar.bz2"])
def test_an_object_that_is_no_code_is_refused_with_what_is_taken(stores: Stores, place: str, tmp_path: Path, name: str) -> None:
    put(stores, f"{place}/{name}", b"1")
    with pytest.raises(SourceInvalid, match=r"give \.py, \.tar\.gz, \.tgz, \.tar or \.zip, or a prefix/"):
        fetch_source(source(stores, f"{place}/{name}"), tmp_path, stores, BLOBS)


def test_a_damaged_or_empty_archive_is_refused(stores: Stores, place: str, tmp_path: Path) -> None:
    put(stores, f"{place}/code.tar.gz", b"<html>")
    with pytest.raises(SourceInvalid, match=r"code\.tar\.gz is no archive"):
        fetch_source(source(stores, f"{place}/code.tar.gz"), tmp_path / "a", stores, BLOBS)
    put(stores, f"{place}/none.tar.gz", tar_gz({}))
    with pytest.raises(SourceMissing, match="holds no file"):
        fetch_source(source(stores, f"{place}/none.tar.gz"), tmp_path / "b", stores, BLOBS)


def test_a_source_beyond_the_limits_is_refused(stores: Stores, place: str, tmp_path: Path) -> None:
    for number in range(4):
        put(stores, f"{place}/code/{number}.py", b"x" * 100)
    for limits, words in ((Limits(size=399), "is larger than"), (Limits(files=3), "more than 3 files")):
        with pytest.raises(SourceInvalid, match=words):
            fetch_source(source(stores, f"{place}/code/"), tmp_path / "a", stores, BLOBS, limits=limits)
    fetch_source(source(stores, f"{place}/code/"), tmp_path / "b", stores, BLOBS, limits=Limits(size=400, files=4))


def test_inputs_are_fetched_beside_each_other(stores: Stores, place: str, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3 << 20)
    put(stores, f"{place}/train.bin", data)
    for name in ("part-0", "sub/part-1"):
        put(stores, f"{place}/parts/{name}", name.encode())
    moved: list[int] = []
    inputs = [an_input(stores, "train", f"{place}/train.bin"), an_input(stores, "parts", f"{place}/parts/")]
    one, many = fetch_inputs(inputs, tmp_path, stores, moved.append)
    assert files_under(tmp_path) == {"train/train.bin": data, "parts/part-0": b"part-0", "parts/sub/part-1": b"sub/part-1"}
    assert (one.name, one.uri, one.size, one.rows) == ("train", f"{place}/train.bin", len(data), None)
    assert one.digest == "sha256:" + sha256(data).hexdigest()
    assert many.digest == root_digest([entry("part-0", b"part-0"), entry("sub/part-1", b"sub/part-1")])
    assert sum(moved) == one.size + many.size
    assert fetch_inputs([], tmp_path, stores) == ()


def test_rows_of_parquet_files_are_counted(stores: Stores, place: str, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    def parquet(rows: int) -> bytes:
        buffer = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table({"x": list(range(rows))}), buffer)
        return buffer.getvalue()

    put(stores, f"{place}/one.parquet", parquet(455))
    put(stores, f"{place}/many/a.parquet", parquet(10))
    put(stores, f"{place}/many/b.parquet", parquet(20))
    put(stores, f"{place}/many/_SUCCESS", b"")
    put(stores, f"{place}/broken.parquet", b"PAR1 not really")
    put(stores, f"{place}/table.csv", b"x\n1\n")
    uris = ("one.parquet", "many/", "broken.parquet", "table.csv")
    inputs = [an_input(stores, f"i{number}", f"{place}/{uri}") for number, uri in enumerate(uris)]
    assert [record.rows for record in fetch_inputs(inputs, tmp_path, stores)] == [455, 30, None, None]


def test_an_input_that_changed_or_went_since_it_was_pinned_is_refused(stores: Stores, place: str, tmp_path: Path) -> None:
    put(stores, f"{place}/train.bin", b"1")
    pinned = an_input(stores, "train", f"{place}/train.bin")
    put(stores, f"{place}/train.bin", b"2")
    with pytest.raises(InputChanged, match=r"train\.bin was replaced since the build was planned"):
        fetch_inputs([pinned], tmp_path / "a", stores)
    delete(stores, f"{place}/train.bin")
    with pytest.raises(InputMissing, match=r"train\.bin was deleted since the build was planned"):
        fetch_inputs([pinned], tmp_path / "b", stores)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".", ".."])
def test_an_input_cannot_leave_its_folder(stores: Stores, place: str, tmp_path: Path, name: str) -> None:
    put(stores, f"{place}/train.bin", b"1")
    with pytest.raises(SourceInvalid, match="not a plain name"):
        fetch_inputs([an_input(stores, name, f"{place}/train.bin")], tmp_path / "in", stores)


def test_a_config_map_is_fetched_from_the_registry(stores: Stores, place: str, tmp_path: Path) -> None:
    pinned, kept = pin_configmap("ns", "code", {"train.py": "print()"}, {"data.bin": "AAEC"})
    location = parse_s3(place)
    blobs = Blobs(stores(location.bucket))
    with pytest.raises(SourceMissing, match="configmap://ns/code"):
        fetch_source(pinned, tmp_path / "a", stores, blobs)
    for data in kept.values():
        blobs.put_bytes(data)
    record = fetch_source(pinned, tmp_path / "b", stores, blobs)
    assert files_under(tmp_path / "b") == {"train.py": b"print()", "data.bin": b"\0\1\2"}
    assert (record.kind, record.uri, record.digest) == ("configMap", "configmap://ns/code", pinned.digest)
    for data in kept.values():
        blobs.store.delete(blobs.key("sha256:" + sha256(data).hexdigest()))


def test_an_image_has_nothing_to_fetch(stores: Stores, tmp_path: Path) -> None:
    pinned = PinnedSource(kind="image", uri="registry/x@sha256:1", digest="sha256:" + "1" * 64)
    record = fetch_source(pinned, tmp_path / "src", stores, BLOBS)
    assert (record.kind, record.digest) == ("image", pinned.digest)
    assert not (tmp_path / "src").exists()
