"""What every object store promises: the fake, the folder and a real S3 server alike."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.storage import InvalidKey, NotFound, ObjectStore, Precondition
from slipway.storage.memory import MemoryStore
from slipway.storage.probe import probe
from slipway.storage.s3 import S3Store
from slipway.storage.stream import read_chunks


def test_gives_back_what_was_put(store: ObjectStore) -> None:
    info = store.put("a/b.json", b"{}", content_type="application/json")
    stored = store.get("a/b.json")
    assert stored.data == b"{}"
    assert stored.info.etag == info.etag == store.head("a/b.json").etag
    assert (stored.info.key, stored.info.size) == ("a/b.json", 2)


def test_says_when_an_object_was_written(store: ObjectStore) -> None:
    store.put("a", b"1")
    modified = store.head("a").modified
    assert modified is not None
    assert abs(modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert next(store.list("a")).modified is not None


def test_empty_objects_are_objects(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert store.get("empty").data == b""
    assert store.head("empty").size == 0
    with store.open("empty") as reader:
        assert reader.read() == b""


def test_put_replaces_and_gives_another_etag(store: ObjectStore) -> None:
    first = store.put("a", b"1")
    second = store.put("a", b"2")
    assert first.etag != second.etag
    assert store.get("a").data == b"2"


@pytest.mark.parametrize("call", ["get", "head", "open"])
def test_what_is_not_there_is_not_found(store: ObjectStore, call: str) -> None:
    with pytest.raises(NotFound, match="nothing/here"):
        getattr(store, call)("nothing/here")


@pytest.mark.parametrize("count", [0, 1, 40])
def test_several_are_had_at_once_in_the_order_asked_for(store: ObjectStore, count: int) -> None:
    for number in range(0, count, 2):
        store.put(f"many/{number}", f"content {number}".encode())
    keys = [f"many/{number}" for number in reversed(range(count))]
    found = store.get_many(keys)
    wanted = [None if number % 2 else f"content {number}".encode() for number in reversed(range(count))]
    assert [stored.data if stored else None for stored in found] == wanted
    assert all(stored is None or stored.info == store.get(key).info for key, stored in zip(keys, found, strict=True))


def test_a_folder_is_no_object(store: ObjectStore) -> None:
    store.put("a/b", b"1")
    with pytest.raises(NotFound):
        store.get("a")
    with pytest.raises(NotFound):
        store.head("a")


def test_put_if_absent_writes_once(store: ObjectStore) -> None:
    store.put_if_absent("a/1.json", b"mine")
    with pytest.raises(Precondition):
        store.put_if_absent("a/1.json", b"theirs")
    assert store.get("a/1.json").data == b"mine"


def test_put_if_absent_works_again_after_a_delete(store: ObjectStore) -> None:
    store.put_if_absent("a/1.json", b"1")
    store.delete("a/1.json")
    store.put_if_absent("a/1.json", b"2")
    assert store.get("a/1.json").data == b"2"


def test_one_of_many_racers_wins_and_is_told(store: ObjectStore) -> None:
    start = threading.Barrier(12)

    def run(number: int) -> int | None:
        start.wait(timeout=30)
        try:
            store.put_if_absent("race/1.json", str(number).encode())
        except Precondition:
            return None
        return number

    with ThreadPoolExecutor(12) as pool:
        winners = [number for number in pool.map(run, range(12)) if number is not None]
    assert [int(store.get("race/1.json").data)] == winners


def test_put_if_match_replaces_only_what_was_read(store: ObjectStore) -> None:
    first = store.put("a", b"1")
    second = store.put_if_match("a", b"2", first.etag)
    with pytest.raises(Precondition):
        store.put_if_match("a", b"3", first.etag)
    store.put_if_match("a", b"4", second.etag)
    assert store.get("a").data == b"4"


def test_put_if_match_of_nothing_is_refused(store: ObjectStore) -> None:
    with pytest.raises(Precondition):
        store.put_if_match("a", b"1", "0123456789abcdef0123456789abcdef")
    with pytest.raises(NotFound):
        store.get("a")


def test_counting_by_put_if_match_loses_no_count(store: ObjectStore) -> None:
    store.put("n", b"0")

    def add(_worker: int) -> None:
        for _ in range(5):
            while True:
                found = store.get("n")
                try:
                    store.put_if_match("n", str(int(found.data) + 1).encode(), found.info.etag)
                    break
                except Precondition:
                    continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert store.get("n").data == b"20"


def test_a_read_of_a_replaced_object_is_refused(store: ObjectStore) -> None:
    first = store.put("a", b"1")
    assert store.get("a", if_match=first.etag).data == b"1"
    store.put("a", b"2")
    with pytest.raises(Precondition):
        store.get("a", if_match=first.etag)
    with pytest.raises(Precondition):
        store.open("a", if_match=first.etag)


def test_reads_from_an_offset(store: ObjectStore) -> None:
    etag = store.put("a", bytes(range(100))).etag
    with store.open("a", offset=40, if_match=etag) as reader:
        assert reader.read(10) == bytes(range(40, 50))
        assert reader.read() == bytes(range(50, 100))


def test_chunks_are_the_object(store: ObjectStore) -> None:
    data = random.Random(1).randbytes(300_000)
    store.put("a", data)
    moved: list[int] = []
    assert b"".join(read_chunks(store, "a", progress=moved.append, chunk=70_000)) == data
    assert sum(moved) == len(data)


def test_put_file_uploads_small_and_large_files(store: ObjectStore, tmp_path: Path) -> None:
    for name, size in (("empty", 0), ("small", 1000), ("large", 37 << 20)):
        data = random.Random(size).randbytes(size)
        (tmp_path / name).write_bytes(data)
        moved: list[int] = []
        info = store.put_file(f"files/{name}", tmp_path / name, progress=moved.append)
        assert (info.size, sum(moved)) == (size, size)
        assert store.get(f"files/{name}").data == data
        assert store.head(f"files/{name}").etag == info.etag


def test_lists_in_key_order(store: ObjectStore) -> None:
    keys = ["a", "a-b/c", "a.b", "a0", "b/1", "b/10", "b/2", "b/2/x" if isinstance(store, MemoryStore) else "b/3/x", "ä", "z z"]
    for key in random.Random(2).sample(keys, len(keys)):
        store.put(key, key.encode())
    assert [info.key for info in store.list("")] == sorted(keys)
    assert [(info.key, info.size) for info in store.list("b/")] == [(k, len(k)) for k in sorted(keys) if k.startswith("b/")]


def test_a_prefix_need_not_end_at_a_slash(store: ObjectStore) -> None:
    for key in ("index/ab/1", "index/ac/1", "index/b"):
        store.put(key, b"")
    assert [info.key for info in store.list("index/a")] == ["index/ab/1", "index/ac/1"]
    assert list(store.list("nothing/")) == []


def test_lists_after_a_key_that_need_not_exist(store: ObjectStore) -> None:
    for number in range(0, 20, 2):
        store.put(f"v/{number:04d}.json", b"")
    found = [info.key for info in store.list("v/", start_after="v/0011.json", limit=3)]
    assert found == ["v/0012.json", "v/0014.json", "v/0016.json"]
    assert [info.key for info in store.list("v/", start_after="v/0018.json")] == []
    assert [info.key for info in store.list("v/", start_after="v/0000.json", limit=1)] == ["v/0002.json"]


def test_a_list_longer_than_a_page_is_complete(store: ObjectStore) -> None:
    keys = [f"many/{number:05d}" for number in range(1100)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"-"), keys))
    assert [info.key for info in store.list("many/")] == keys
    assert [info.key for info in store.list("many/", limit=1050)] == keys[:1050]
    assert [info.key for info in store.list("many/", start_after=keys[50])] == keys[51:]


def test_a_limit_of_zero_lists_nothing(store: ObjectStore) -> None:
    store.put("a", b"")
    assert list(store.list("", limit=0)) == []


def test_lists_the_folders_of_a_prefix(store: ObjectStore) -> None:
    for key in ("models/ns/b/versions/1", "models/ns/a/versions/1", "models/ns/a/aliases/x/1", "models/other/c/1", "models/file"):
        store.put(key, b"")
    assert list(store.list_folders("models/")) == ["ns", "other"]
    assert list(store.list_folders("models/ns/")) == ["a", "b"]
    assert list(store.list_folders("")) == ["models"]
    assert list(store.list_folders("models/nobody/")) == []


def test_what_is_deleted_is_gone_from_reads_and_lists(store: ObjectStore) -> None:
    store.put("a/b/c", b"1")
    store.put("a/d", b"1")
    store.delete("a/b/c")
    store.delete("a/b/c")
    store.delete("never/there")
    with pytest.raises(NotFound):
        store.head("a/b/c")
    assert [info.key for info in store.list("")] == ["a/d"]
    if not isinstance(store, S3Store):  # SeaweedFS removes empty folders some time later, which the port allows
        assert list(store.list_folders("a/")) == []


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/../b", "..", "a/.", "a/", "a\nb", "x" * 1100])
def test_a_key_that_could_mislead_is_refused(store: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidKey):
        store.put(key, b"")
    with pytest.raises(InvalidKey):
        store.get(key)


def test_odd_keys_are_kept_as_they_are(store: ObjectStore) -> None:
    keys = ["sp ace", "plus+plus", "per%cent", "a%2Fb", "quote'\"", "hash#", "question?x=1", "ümlaut/日本", "~tilde", "a&b=c"]
    for key in keys:
        store.put(key, key.encode())
    assert {info.key for info in store.list("")} == set(keys)
    assert all(store.get(key).data == key.encode() for key in keys)
    assert [info.key for info in store.list("", start_after="per%cent", limit=1)] == ["plus+plus"]


def test_the_probe_accepts_it_and_leaves_nothing(store: ObjectStore) -> None:
    report = probe(store)
    assert report.ok, report
    assert all(finding.passed for finding in report.findings)
    assert list(store.list("")) == []


def test_an_upload_in_parts_that_broke_off_goes_on(s3_store: ObjectStore, tmp_path: Path) -> None:
    """What is there already is not sent again, unless its bytes differ."""
    assert isinstance(s3_store, S3Store)
    data = random.Random(5).randbytes(40 << 20)
    path = tmp_path / "large"
    path.write_bytes(data)
    client, key = s3_store.connection.client, f"{s3_store.prefix}blobs/large"
    upload = client.create_multipart_upload(Bucket=s3_store.bucket, Key=key)["UploadId"]
    size = s3_store.connection.options.part_size
    for number, body in ((1, data[:size]), (2, bytes(size))):
        client.upload_part(Bucket=s3_store.bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
    sent: list[int] = []
    events = s3_store.connection.bulk.meta.events
    events.register("before-call.s3.UploadPart", lambda params, **_: sent.append(int(params["query_string"]["partNumber"])))
    moved: list[int] = []
    s3_store.put_file("blobs/large", path, progress=moved.append)
    assert sorted(sent) == [2, 3]
    assert sum(moved) == len(data)
    assert s3_store.get("blobs/large").data == data


def test_uploads_that_nobody_came_back_for_are_thrown_away(s3_store: ObjectStore) -> None:
    assert isinstance(s3_store, S3Store)
    client, key = s3_store.connection.client, f"{s3_store.prefix}blobs/large"
    client.create_multipart_upload(Bucket=s3_store.bucket, Key=key)
    now = datetime.now(UTC)
    assert s3_store.end_unfinished("blobs/", now - timedelta(days=1)) == 0
    assert s3_store.end_unfinished("blobs/", now + timedelta(days=1)) == 1
    assert s3_store.end_unfinished("blobs/", now + timedelta(days=1)) == 0
