"""The registry on a real S3 server behind a bad network."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import pytest

from slipway.registry import Blobs, Registry
from slipway.registry.records import FileEntry, VersionDraft
from slipway.storage import ObjectStore, Unavailable, open_store
from tests.fakes.bad_network import BadNetwork, Fault
from tests.fakes.stores import BUCKET, Weed

T = TypeVar("T")
MODEL = "ns/m"
FILE = FileEntry(path="model.onnx", digest="sha256:" + "0" * 64, size=1)


def draft(build: object) -> VersionDraft:
    build_id = "sha256:" + sha256(str(build).encode()).hexdigest()
    return VersionDraft(model=MODEL, build_id=build_id, reason="test", files=(FILE,), format="onnx")


@pytest.fixture
def far(network: BadNetwork, seaweed: Weed) -> ObjectStore:
    options = seaweed.options(endpoint_url=network.endpoint, attempts=2, read_timeout=3.0)
    return open_store(f"s3://{BUCKET}/{uuid4()}", options)


@pytest.mark.parametrize("part", ["/versions/", "/builds/"])
@pytest.mark.parametrize("fault", ["lose answer", "500 after commit", "lose request", "503"])
def test_a_disturbed_claim_is_still_one_version(far: ObjectStore, network: BadNetwork, fault: Fault, part: str) -> None:
    registry = Registry(far)
    registry.register(draft("before"), check=False)
    network.once(fault, "PUT", part)
    assert registry.register(draft("a"), check=False).version == 2
    assert registry.register(draft("a"), check=False).version == 2
    assert registry.register(draft("b"), check=False).version == 3


def test_a_claim_that_cannot_be_confirmed_can_be_tried_again(far: ObjectStore, network: BadNetwork) -> None:
    """The claim is done, its answer is lost, and so is every later request: the caller is told to try later."""
    registry = Registry(far)
    registry.register(draft("before"), check=False)
    claimed: list[str] = []

    def choose(method: str, path: str) -> Fault | None:
        if method == "PUT" and "/versions/" in path:
            claimed.append(path)
            return "lose answer"
        return "503" if claimed else None

    network.choose = choose
    with pytest.raises(Unavailable):
        registry.register(draft("a"), check=False)
    network.choose = lambda _method, _path: None
    assert registry.register(draft("b"), check=False).version == 3
    assert registry.register(draft("a"), check=False).version == 2
    assert registry.find_build(MODEL, draft("a").build_id) is not None


@pytest.mark.parametrize("fault", ["lose answer", "lose request", "503"])
def test_a_disturbed_move_is_done_once(far: ObjectStore, network: BadNetwork, fault: Fault) -> None:
    registry = Registry(far)
    for build in "ab":
        registry.register(draft(build), check=False)
    registry.move_alias(MODEL, "champion", 1, by="me")
    network.once(fault, "PUT", "/aliases/")
    assert registry.move_alias(MODEL, "champion", 2, by="me").changed
    assert [(move.number, move.version) for move in registry.history(MODEL, "champion")] == [(2, 2), (1, 1)]


def test_a_large_file_is_fetched_over_lost_connections(far: ObjectStore, network: BadNetwork, tmp_path: Path) -> None:
    data = random.Random(5).randbytes(5 << 20)
    blobs = Blobs(far)
    stored = blobs.put_bytes(data)
    network.once("cut body", "GET", times=3)
    assert blobs.fetch(stored.digest, tmp_path / "model").read_bytes() == data


def test_a_file_that_cannot_be_had_whole_leaves_nothing(far: ObjectStore, network: BadNetwork, tmp_path: Path) -> None:
    blobs = Blobs(far)
    stored = blobs.put_bytes(bytes(1000))
    network.choose = lambda method, _path: "503" if method == "GET" else None
    with pytest.raises(Unavailable):
        blobs.fetch(stored.digest, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def eventually(read: Callable[[], T], seconds: float = 30.0) -> T:
    """The first answer of a store that has just been started: it listens before all of its parts have found each other."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return read()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_killed_and_restarted_store_has_lost_nothing(seaweed: Weed) -> None:
    server = Weed()
    try:
        server.start()
        options = server.options(attempts=1, read_timeout=3.0)
        registry = Registry(open_store(f"s3://{BUCKET}/x", options))
        file = registry.blobs.put_bytes(b"weights", path="model.onnx")
        for build in range(3):
            registry.register(draft(build).model_copy(update={"files": (file,)}))
        registry.move_alias(MODEL, "champion", 2, by="me")
        server.stop(kill=True)
        with pytest.raises(Unavailable):
            registry.latest(MODEL)
        server.start()
        assert eventually(lambda: registry.resolve(f"{MODEL}@champion")).version == 2
        assert registry.verify(registry.get(MODEL, 3)).ok
        assert registry.register(draft("next").model_copy(update={"files": (file,)})).version == 4
    finally:
        server.close()
