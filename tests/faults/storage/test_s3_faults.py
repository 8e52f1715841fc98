"""The S3 store behind a network that loses, cuts and stalls."""

from __future__ import annotations

import random
from pathlib import Path
from uuid import uuid4

import pytest

from slipway.storage import NotFound, ObjectStore, OutcomeUnknown, Precondition, Unavailable, open_store
from slipway.storage.probe import probe
from slipway.storage.stream import read_chunks
from tests.fakes.bad_network import BadNetwork, Fault
from tests.fakes.stores import BUCKET, Weed


@pytest.fixture
def far(network: BadNetwork, seaweed: Weed) -> ObjectStore:
    """A store behind the bad network that tries each request once."""
    options = seaweed.options(endpoint_url=network.endpoint, attempts=1, read_timeout=2.0)
    return open_store(f"s3://{BUCKET}/{uuid4()}", options)


def patient(network: BadNetwork, seaweed: Weed, far: ObjectStore) -> ObjectStore:
    """The same place, with retries."""
    return open_store(far.uri, seaweed.options(endpoint_url=network.endpoint, attempts=3))


@pytest.mark.parametrize("fault", ["lose answer", "500 after commit"])
def test_a_conditional_write_whose_answer_is_lost_is_of_unknown_outcome_and_was_done(
    far: ObjectStore, network: BadNetwork, fault: Fault
) -> None:
    network.once(fault, "PUT")
    with pytest.raises(OutcomeUnknown):
        far.put_if_absent("a", b"mine")
    assert far.get("a").data == b"mine"


def test_a_conditional_write_that_is_lost_on_the_way_is_of_unknown_outcome_and_was_not_done(
    far: ObjectStore, network: BadNetwork
) -> None:
    network.once("lose request", "PUT")
    with pytest.raises(OutcomeUnknown):
        far.put_if_absent("a", b"mine")
    with pytest.raises(NotFound):
        far.get("a")
    far.put_if_absent("a", b"mine")


def test_a_conditional_write_that_stalls_gives_up(far: ObjectStore, network: BadNetwork) -> None:
    network.once("stall", "PUT")
    with pytest.raises(OutcomeUnknown, match="no answer within 2 s"):
        far.put_if_absent("a", b"mine")


def test_a_retry_within_the_client_is_refused_by_its_own_first_try(far: ObjectStore, network: BadNetwork, seaweed: Weed) -> None:
    """The caller must read the key: refused does not mean that somebody else wrote it."""
    network.once("lose answer", "PUT")
    with pytest.raises(Precondition):
        patient(network, seaweed, far).put_if_absent("a", b"mine")
    assert far.get("a").data == b"mine"


@pytest.mark.parametrize("fault", ["lose request", "lose answer", "503"])
def test_plain_calls_are_retried(far: ObjectStore, network: BadNetwork, seaweed: Weed, fault: Fault) -> None:
    store = patient(network, seaweed, far)
    for method, call in (
        ("PUT", lambda: store.put("a", b"1")),
        ("GET", lambda: store.get("a")),
        ("HEAD", lambda: store.head("a")),
        ("GET", lambda: list(store.list(""))),
        ("DELETE", lambda: store.delete("a")),
    ):
        network.once(fault, method)
        call()


@pytest.mark.parametrize("fault", ["lose request", "lose answer", "503"])
def test_a_store_that_keeps_failing_is_unavailable(far: ObjectStore, network: BadNetwork, fault: Fault) -> None:
    for method, call in (
        ("PUT", lambda: far.put("a", b"1")),
        ("GET", lambda: far.get("a")),
        ("HEAD", lambda: far.head("a")),
        ("GET", lambda: list(far.list(""))),
        ("DELETE", lambda: far.delete("a")),
    ):
        network.once(fault, method, times=10)
        with pytest.raises(Unavailable):
            call()


def test_a_small_object_cut_short_is_read_again(far: ObjectStore, network: BadNetwork) -> None:
    far.put("a", b"x" * 10_000)
    network.once("cut body", "GET", times=2)
    assert far.get("a").data == b"x" * 10_000


def test_an_object_that_is_always_cut_short_is_never_taken_for_whole(far: ObjectStore, network: BadNetwork) -> None:
    far.put("a", b"x" * 10_000)
    network.once("cut body", "GET", times=100)
    with pytest.raises(Unavailable):
        far.get("a")
    with pytest.raises(Unavailable), far.open("a") as reader:
        while reader.read(1000):
            pass


def test_a_large_read_goes_on_where_the_connection_was_lost(far: ObjectStore, network: BadNetwork) -> None:
    data = random.Random(3).randbytes(3 << 20)
    etag = far.put("a", data).etag
    network.once("cut body", "GET", times=3)
    moved: list[int] = []
    pieces = read_chunks(far, "a", if_match=etag, progress=moved.append, chunk=100_000)
    assert b"".join(pieces) == data
    assert sum(moved) == len(data)
    assert len([path for method, path in network.seen if method == "GET"]) == 4


def test_an_object_replaced_while_it_is_read_is_not_mixed(far: ObjectStore, network: BadNetwork) -> None:
    etag = far.put("a", b"1" * 2_000_000).etag
    network.once("cut body", "GET", times=1)
    pieces = read_chunks(far, "a", if_match=etag, chunk=100_000)
    next(pieces)
    far.put("a", b"2" * 2_000_000)
    with pytest.raises(Precondition):
        list(pieces)


def test_a_large_upload_survives_lost_parts(far: ObjectStore, network: BadNetwork, seaweed: Weed, tmp_path: Path) -> None:
    data = random.Random(4).randbytes(40 << 20)
    (tmp_path / "large").write_bytes(data)
    network.once("lose request", "PUT", "partNumber", times=2)
    store = patient(network, seaweed, far)
    store.put_file("large", tmp_path / "large")
    assert store.get("large").data == data


def test_a_large_upload_that_fails_leaves_no_object(far: ObjectStore, network: BadNetwork, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(40 << 20))
    network.once("503", "PUT", "partNumber=2", times=50)
    with pytest.raises(Unavailable):
        far.put_file("large", tmp_path / "large")
    with pytest.raises(NotFound):
        far.head("large")


def test_a_list_that_loses_a_page_fails_rather_than_ending_early(far: ObjectStore, network: BadNetwork, seaweed: Weed) -> None:
    for number in range(5):
        far.put(f"a/{number}", b"")
    network.once("cut body", "GET", times=10)
    with pytest.raises(Unavailable):
        list(far.list("a/"))
    network.once("cut body", "GET")
    assert len(list(patient(network, seaweed, far).list("a/"))) == 5


def test_the_probe_of_a_store_that_goes_down_in_the_middle_says_so(far: ObjectStore, network: BadNetwork) -> None:
    network.once("503", "PUT", "second", times=1000)
    report = probe(far)
    assert (report.ok, report.verdict) == (False, "Unavailable")
