"""Several models in one server: brought in and let go while it answers."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import httpx
import pytest

from slipway.registry.records import Signature, TensorSpec, VersionDraft, digest_of
from slipway.registry.registry import Registry
from slipway.storage import ObjectStore
from tests.fakes.bad_network import BadNetwork, bad_network
from tests.fakes.serving import Served, echo_model, infer_body, serving, wait_for
from tests.fakes.store_fixtures import s3_store, seaweed
from tests.fakes.stores import ADMIN, Weed, credentials

__all__ = ["s3_store", "seaweed"]
BODY = infer_body([[1, 2, 3]])


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(f"file://{tmp_path}/registry")


def register(registry: Registry, folder: Path, factor: float) -> None:
    """A version whose answers are `factor` times its inputs; the alias moves to it."""
    folder.mkdir(exist_ok=True)
    echo_model(folder / "model.onnx", factor=factor)
    signature = Signature(
        inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 3)),),
        outputs=(TensorSpec(name="Y", datatype="FP32", shape=(-1, 3)), TensorSpec(name="S", datatype="FP32", shape=(-1,))),
        columns=("a", "b", "c"),
    )
    _register(registry, folder, signature)


def control(served: Served, name: str, verb: str) -> httpx.Response:
    return httpx.post(f"{served.url}/v2/repository/models/{name}/{verb}", timeout=60)


def index(served: Served) -> list[dict[str, str]]:
    return served.post("/v2/repository/index", {}).json()  # type: ignore[no-any-return]


def _register(registry: Registry, folder: Path, signature: Signature | None) -> None:
    files = registry.blobs.put_tree(folder)
    record = registry.register(
        VersionDraft(
            model="default/scaled", build_id=digest_of({"files": [file.digest for file in files]}), reason="test", files=files,
            format="onnx", signature=signature,
        )
    )  # fmt: skip
    registry.move_alias("default/scaled", "champion", record.version, by="test", reason="test")


def test_a_new_version_takes_over_without_a_gap(registry: Registry, tmp_path: Path) -> None:
    register(registry, tmp_path / "v", 1.0)
    config = tmp_path / "models.yaml"
    config.write_text("models: [{name: scaled, model: scaled@champion}]")
    cache = tmp_path / "cache"
    with serving(tmp_path, f"--models={config}", f"--registry={registry.store.uri}", f"--cache={cache}") as own:
        seen: list[float] = []
        failed: list[str] = []
        done = threading.Event()

        def ask() -> None:
            with httpx.Client(timeout=60) as client:
                while not done.is_set():
                    answer = client.post(f"{own.url}/v2/models/scaled/infer", json=BODY)
                    if answer.status_code == 200:
                        seen.append(answer.json()["outputs"][1]["data"][0])
                    else:
                        failed.append(answer.text)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            wait_for(lambda: len(seen) > 20)
            register(registry, tmp_path / "v", 2.0)
            assert control(own, "scaled", "load").status_code == 200
            assert index(own) == [{"name": "scaled", "version": "2", "state": "READY", "reason": ""}]
            so_far = len(seen)
            wait_for(lambda: len(seen) > so_far + 20)
            # a version that cannot be loaded changes nothing
            (tmp_path / "v" / "model.onnx").write_bytes(b"damaged")
            _register(registry, tmp_path / "v", None)
            refused = control(own, "scaled", "load")
            assert refused.status_code == 400
            so_far = len(seen)
            wait_for(lambda: len(seen) > so_far + 20)
        finally:
            done.set()
            thread.join()
        assert failed == []
        change = seen.index(12.0)
        assert set(seen[:change]) == {6.0}
        assert set(seen[change:]) == {12.0}
        assert 'version="2"' in own.get("/metrics").text


def test_models_come_and_go(models: Path, tmp_path: Path) -> None:
    config = tmp_path / "models.yaml"
    config.write_text(
        f"models:\n  - {{name: first, model: {models}/echo.onnx}}\n  - {{name: later, model: {models}/text.onnx, load: false}}\n"
    )
    with serving(tmp_path, f"--models={config}") as own:
        assert own.get("/v2/models/later/ready").status_code == 404
        assert [model["state"] for model in index(own)] == ["READY", "UNAVAILABLE"]
        assert control(own, "later", "load").status_code == 200
        assert own.get("/v2/models/later/ready").status_code == 200
        assert control(own, "first", "unload").status_code == 200
        assert own.post("/v2/models/first/infer", BODY).status_code == 404
        assert own.get("/v1/models").json() == {"models": ["later"]}
        assert control(own, "first", "load").status_code == 200
        assert own.post("/v2/models/first/infer", BODY).status_code == 200
        nobody = control(own, "nobody", "load")
        assert (nobody.status_code, "no model 'nobody'" in nobody.json()["error"]) == (400, True)


def test_a_server_of_one_model_is_not_changed_by_clients(both: Served, models: Path, tmp_path: Path) -> None:
    with serving(tmp_path, f"--model={models}/echo.onnx") as own:
        assert httpx.post(f"{own.url}/v2/repository/models/echo/unload").status_code == 404
        assert own.get("/v2/models/echo/ready").status_code == 200


def test_a_restarted_server_does_not_download_again(seaweed: Weed, s3_store: ObjectStore, tmp_path: Path) -> None:
    """The cache outlives the server: with a folder of the node, also its pod. Requests are counted at the store."""
    register(Registry(s3_store), tmp_path / "v", 3.0)
    cache = tmp_path / "cache"
    words = ("--model=scaled@champion", f"--registry={s3_store.uri}", f"--cache={cache}")
    row = {"records": [{"a": 1, "b": 2, "c": 3}]}
    with bad_network(seaweed.endpoint) as network:
        where = {**credentials(ADMIN), "AWS_ENDPOINT_URL_S3": network.endpoint, "AWS_REGION": "us-east-1"}
        with serving(tmp_path, *words, **where) as own:
            assert own.post("/predict", row).json()["predictions"] == [{"Y": [3, 6, 9], "S": 18}]
            assert own.stop(signal.SIGKILL) != 0
        assert _downloads(network) > 0
        network.seen.clear()
        with serving(tmp_path, *words, **where) as own, serving(tmp_path, *words, **where) as beside:
            assert own.post("/predict", row).status_code == beside.post("/predict", row).status_code == 200
        assert _downloads(network) == 0, network.seen
        assert network.seen, "the alias was looked up"
        # what was damaged meanwhile is downloaded again
        (model,) = cache.glob("sha256-*/model.onnx")
        model.write_bytes(model.read_bytes()[:-1] + b"x")
        with serving(tmp_path, *words, **where) as own:
            assert own.post("/predict", row).status_code == 200
        assert _downloads(network) > 0


def _downloads(network: BadNetwork) -> int:
    return sum("/blobs/" in path for _, path in network.seen)


def test_the_next_version_takes_the_room_of_the_last(registry: Registry, tmp_path: Path) -> None:
    """In a running server: not while the old one answers, but when it has gone."""
    register(registry, tmp_path / "v", 1.0)
    cache = tmp_path / "cache"
    size = (tmp_path / "v" / "model.onnx").stat().st_size
    words = (f"--registry={registry.store.uri}", f"--cache={cache}", f"--cache-size={size + 10}")
    with serving(tmp_path, "--model=scaled@champion", *words):
        register(registry, tmp_path / "v", 2.0)
        with serving(tmp_path, "--model=scaled@champion", *words) as second:
            assert second.post("/v2/models/scaled/infer", BODY).json()["outputs"][1]["data"] == [12.0]
            assert any("the cache is not used" in line["event"] for line in second.lines()), "the first one needs all of it"
        assert len(list(cache.glob("sha256-*/"))) == 1
    with serving(tmp_path, "--model=scaled@champion", *words) as third:
        assert third.post("/v2/models/scaled/infer", BODY).json()["outputs"][1]["data"] == [12.0]
        assert any(line["event"] == "removed from the cache" for line in third.lines())
    assert len(list(cache.glob("sha256-*/"))) == 1


def test_workers_share_the_port(models: Path, tmp_path: Path) -> None:
    with serving(tmp_path, f"--model={models}/echo.onnx", "--workers=2") as own:
        wait_for(lambda: sum(line["event"] == "ready" for line in own.lines()) == 2, own.log.read_text)
        assert len({line["pid"] for line in own.lines() if line["event"] == "listening"}) == 2
        for at in range(20):
            assert own.post("/predict", {"records": [[at, 0, 0]]}).json()["predictions"][0]["S"] == at
        assert own.stop() == 0
        assert [line["lost"] for line in own.lines() if line["event"] == "stopped"] == [0, 0]
