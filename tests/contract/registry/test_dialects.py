"""The registry on stores that answer as AWS, Ceph RGW, R2 and versitygw do, and the refusal of those that cannot hold one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

import pytest

from slipway.registry import Registry
from slipway.registry.records import FileEntry, VersionDraft
from slipway.storage import ObjectStore, Precondition, S3Options, open_store
from slipway.storage.probe import probe
from tests.fakes.s3_dialects import AWS, BUSY, CEPH, GARAGE, NOT_FOUND, OLD_VERSITYGW, R2, SLOW, VERSITYGW, Dialect, DialectServer

MODEL = "ns/m"
FILE = FileEntry(path="m", digest="sha256:" + "0" * 64, size=1)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def opened(server: DialectServer) -> ObjectStore:
    return open_store(
        "s3://bucket/registry", S3Options(endpoint_url=server.endpoint, region="us-east-1", read_timeout=5, attempts=2)
    )


def draft(build: int) -> VersionDraft:
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return VersionDraft(model=MODEL, build_id=build_id, reason="t", files=(FILE,), format="onnx")


@pytest.mark.parametrize("dialect", [AWS, CEPH, R2, VERSITYGW, SLOW, NOT_FOUND, BUSY], ids=lambda d: d.name)
def test_racing_writers_and_movers_keep_every_promise(dialect: Dialect) -> None:
    with DialectServer(dialect) as server:
        store = opened(server)
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(lambda n: Registry(store).register(draft(n % 12), check=False), range(16)))
        by_build = {record.build_id: record.version for record in records}
        assert sorted(by_build.values()) == list(range(1, 13)), "no hole, no duplicate"
        assert all(by_build[record.build_id] == record.version for record in records), "one version per build"
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: Registry(store).move_alias(MODEL, "champion", n + 1, by=str(n)), range(6)))
        history = Registry(store).history(MODEL, "champion")[::-1]
        assert [move.number for move in history] == list(range(1, 7))
        assert [move.previous for move in history] == [None, *(move.version for move in history[:-1])]
        assert {move.by for move in history} == {str(n) for n in range(6)}


@pytest.mark.parametrize(("dialect", "words"), [(GARAGE, "If-None-Match"), (OLD_VERSITYGW, "were told that they won")], ids=str)
def test_stores_that_let_more_than_one_win_are_refused_with_the_reason(dialect: Dialect, words: str) -> None:
    with DialectServer(dialect) as server:
        report = probe(opened(server))
    assert report.verdict == "Refused"
    assert words in report.message


@pytest.mark.parametrize("dialect", [AWS, CEPH, VERSITYGW], ids=lambda d: d.name)
def test_fit_stores_pass_the_probe(dialect: Dialect) -> None:
    with DialectServer(dialect) as server:
        report = probe(opened(server))
    assert report.ok, report.message


@pytest.mark.parametrize("dialect", [AWS, CEPH, R2, VERSITYGW, BUSY], ids=lambda d: d.name)
def test_counting_over_what_was_read_loses_no_count(dialect: Dialect) -> None:
    """Writes that expect an object, and one that expects what is not there: refused, whatever status says so."""
    with DialectServer(dialect) as server:
        store = opened(server)
        with pytest.raises(Precondition):
            store.put_if_match("nothing", b"0", "0" * 32)
        store.put("count", b"")

        def add(me: int) -> None:
            while True:
                seen = store.get("count")
                if bytes((me,)) in seen.data:
                    return  # done, though nobody was told
                with suppress(Precondition):
                    store.put_if_match("count", seen.data + bytes((me,)), seen.info.etag)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, range(12)))
        assert sorted(store.get("count").data) == list(range(12))
