"""A model that was trained on feature views: requests bring entity keys, and the server fetches the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from jsonschema import Draft202012Validator

from slipway.features import FeatureStore
from slipway.features.records import Revision
from slipway.registry.records import FeatureRecord, InputRecord, Signature, TensorSpec, UsedView, VersionDraft
from slipway.registry.registry import Registry
from slipway.storage.files import FileStore
from tests.fakes.redis_server import PASSWORD, RedisServer, redis_server
from tests.fakes.serving import Served, command, echo_model, environment, serving, wait_for

VIEW: dict[str, Any] = {
    "name": "shop-visits",
    "entities": [{"name": "user"}],
    "eventTime": "happened",
    "ttl": "30d",
    "features": [{"name": "pages", "type": "int64"}, {"name": "basket", "type": "float64"}, {"name": "other", "type": "string"}],
}


@dataclass
class Shop:
    """A registry with a view and a model that was trained on it."""

    folder: Path
    features: FeatureStore = field(init=False)
    online: str = ""

    def __post_init__(self) -> None:
        self.features = FeatureStore(Registry(FileStore(self.folder / "registry")), namespace="team")

    def rows(self, values: dict[int, tuple[int | None, float | None]], *, ago: float = 1) -> None:
        happened = datetime.now(UTC) - timedelta(days=ago)
        self.features.ingest(
            "shop-visits",
            pa.table(
                {
                    "user": list(values),
                    "happened": pa.array([happened] * len(values), pa.timestamp("us", "UTC")),
                    "pages": pa.array([pages for pages, _ in values.values()], pa.int64()),
                    "basket": pa.array([basket for _, basket in values.values()], pa.float64()),
                    "other": ["x"] * len(values),
                }
            ),
        )

    def train(self, revision: Revision, columns: tuple[str, ...] = ("pages", "age", "basket")) -> None:
        """A version that takes `columns` and gives them back."""
        registry = self.features.registry
        model = registry.blobs.put_file(echo_model(self.folder / "model.onnx"), name="model.onnx")
        used = UsedView(view=f"team/{revision.view}", revision=revision.number, definition=revision.digest, table_version=0)
        data = InputRecord(
            name="data", uri="features://team/shop-visits", digest="sha256:" + "1" * 64, size=1,
            features=FeatureRecord(as_of="EntityTime", views=(used,)),
        )  # fmt: skip
        signature = Signature(
            inputs=(TensorSpec(name="X", datatype="FP32", shape=(-1, 3)),),
            outputs=(TensorSpec(name="Y", datatype="FP32", shape=(-1, 3)), TensorSpec(name="S", datatype="FP32", shape=(-1,))),
            columns=columns,
        )
        registry.register(
            VersionDraft(
                model="team/churn", build_id="sha256:" + "2" * 64, reason="test", files=(model,), format="onnx",
                signature=signature, inputs=(data,),
            )
        )  # fmt: skip

    def words(self, *more: str) -> list[str]:
        caches = [f"--cache={self.folder}/cache", f"--online-cache={self.folder}/online"]
        return ["--model=team/churn:1", f"--registry=file://{self.folder}/registry", *caches, *more]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.train(made.features.apply(VIEW))
    made.rows({1: (10, 1.5), 2: (20, None)})
    return made


@pytest.fixture(params=["embedded", "redis"])
def served(request: pytest.FixtureRequest, shop: Shop, tmp_path: Path) -> Iterator[Served]:
    """With all of the view in the online store."""
    if request.param == "embedded":
        shop.features.materialize("shop-visits")
        with serving(tmp_path, *shop.words()) as running:
            yield running
    else:
        with redis_server(tmp_path, password=PASSWORD) as server:
            shop.online = server.url
            shop.features.materialize("shop-visits", online=server.url)
            with serving(tmp_path, *shop.words(), SLIPWAY_ONLINE_STORE=server.url) as running:
                yield running


def v2(**columns: list[Any]) -> dict[str, Any]:
    kinds = {int: "INT64", float: "FP64", str: "BYTES"}
    return {
        "inputs": [
            {"name": name, "shape": [len(data)], "datatype": kinds[type(data[0])], "data": data} for name, data in columns.items()
        ]
    }


def test_keys_instead_of_columns(served: Served, shop: Shop) -> None:
    answer = served.post("/predict", {"records": [{"user": 2, "age": 40}, {"user": 1, "age": 30}]})
    assert answer.json()["predictions"] == [{"Y": [20.0, 40.0, None], "S": None}, {"Y": [10.0, 30.0, 1.5], "S": 41.5}]
    answer = served.post("/v1/models/churn:predict", {"instances": [{"user": 1, "age": 30}]})
    assert answer.json()["predictions"][0]["Y"] == [10.0, 30.0, 1.5]
    answer = served.post("/v2/models/churn/infer", v2(user=[1, 1], age=[30.0, 31.0]) | {"outputs": [{"name": "S"}], "id": "a"})
    assert answer.json()["outputs"] == [{"name": "S", "shape": [2], "datatype": "FP32", "data": [41.5, 42.5]}]
    assert answer.json()["id"] == "a"
    # what was sent goes before what is stored
    answer = served.post("/predict", {"records": [{"user": 2, "age": 40, "basket": 0.5}]})
    assert answer.json()["predictions"][0]["Y"] == [20.0, 40.0, 0.5]
    # all columns, as ever
    answer = served.post("/predict", {"records": [{"pages": 1, "age": 2, "basket": 3}]})
    assert answer.json()["predictions"][0]["Y"] == [1.0, 2.0, 3.0]
    assert served.post("/v2/models/churn/infer", v2(X=[1.0])).status_code == 400
    assert (
        'slipway_online_rows_total{model="churn",outcome="found",version="1",view="team/shop-visits"} 6.0'
        in served.get("/metrics").text
    )
    assert PASSWORD not in served.log.read_text() + served.get("/metrics").text


def test_the_description_has_the_entity_keys(shop: Shop, tmp_path: Path) -> None:
    shop.features.materialize("shop-visits")
    with serving(tmp_path, *shop.words()) as running:
        document = running.get("/openapi.json").json()

        def fits(name: str, body: Any) -> bool:
            return bool(Draft202012Validator(document | {"$ref": f"#/components/schemas/{name}"}).is_valid(body))

        for record, taken in (
            ({"user": 1, "age": 30}, True),
            ({"user": 1, "age": 30, "basket": 2.0}, True),
            ({"pages": 1, "age": 30, "basket": 2.0}, True),
            ({"user": "one", "age": 30}, False),
            ({"user": 1}, False),
            ({"age": 30}, False),
        ):
            assert fits("RecordsRequest", {"records": [record]}) is taken, record
            assert (running.post("/predict", {"records": [record]}).status_code == 200) is taken, "as it is described"
        assert fits("InferRequest", v2(user=[1, 2], age=[3.0, 4.0]))
        assert not fits("InferRequest", v2(usr=[1]))
        assert "422" in document["paths"]["/predict"]["post"]["responses"]


def test_what_cannot_be_joined_is_said(served: Served) -> None:
    answer = served.post("/predict", {"records": [{"user": 1, "age": 3}, {"user": 7, "age": 3}]})
    assert answer.status_code == 422
    assert "team/shop-visits has no features, or none within its TTL, of records[1]: user=7" in answer.json()["error"]
    answer = served.post("/predict", {"records": [{"user": 1, "age": 3}, {"user": "one", "age": 3}]})
    assert (answer.status_code, answer.json()["error"]) == (400, "records[1]: user: 'one' is not of type int64")
    answer = served.post("/predict", {"records": [{"user": 1, "age": 3}, {"age": 3}]})
    assert (answer.status_code, "records[1]: user is missing" in answer.json()["error"]) == (400, True)
    answer = served.post("/predict", {"records": [{"user": 1}]})
    assert (answer.status_code, "age" in answer.json()["error"]) == (400, True)
    answer = served.post("/predict", {"records": [{"age": 1}]})
    assert (answer.status_code, "send them, or 'user' of team/shop-visits" in answer.json()["error"]) == (400, True)
    answer = served.post("/v2/models/churn/infer", v2(user=[1, 2], age=[3.0]))
    assert (answer.status_code, "same number of rows" in answer.json()["error"]) == (400, True)


def test_newer_features_arrive_while_it_serves(served: Served, shop: Shop) -> None:
    shop.rows({1: (11, 2.5)}, ago=0.5)
    shop.features.materialize("shop-visits", online=shop.online)
    ask = {"records": [{"user": 1, "age": 30}]}
    wait_for(lambda: served.post("/predict", ask).json()["predictions"][0]["Y"] == [11.0, 30.0, 2.5])


def test_null_for_a_missing_entity_when_it_is_declared_so(shop: Shop, tmp_path: Path) -> None:
    shop.features.materialize("shop-visits")
    with serving(tmp_path, *shop.words("--missing-features=null")) as running:
        answer = running.post("/predict", {"records": [{"user": 7, "age": 3}]})
        assert answer.json()["predictions"][0]["Y"] == [None, 3.0, None]


def test_a_store_that_was_never_filled_is_no_reason_not_to_serve(shop: Shop, tmp_path: Path) -> None:
    with serving(tmp_path, *shop.words()) as running:
        assert running.post("/predict", {"records": [{"pages": 1, "age": 2, "basket": 3}]}).status_code == 200
        answer = running.post("/predict", {"records": [{"user": 1, "age": 2}]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "slipway features materialize shop-visits" in answer.json()["error"]
        shop.features.materialize("shop-visits")
        wait_for(lambda: running.post("/predict", {"records": [{"user": 1, "age": 2}]}).status_code == 200)


def test_another_definition_than_the_trained_one_is_refused_or_flagged(shop: Shop, tmp_path: Path) -> None:
    import subprocess

    shop.features.apply(VIEW | {"ttl": "60d"})
    shop.features.materialize("shop-visits")
    done = subprocess.run(
        command("--port=0", *shop.words()), env=environment(), capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "trained on team/shop-visits by definition sha256:" in done.stderr
    assert "has it by revision 2" in done.stderr and "--other-definition=flag" in done.stderr
    with serving(tmp_path, *shop.words("--other-definition=flag")) as running:
        answer = running.post("/predict", {"records": [{"user": 1, "age": 30}]})
        assert answer.json()["predictions"][0]["Y"] == [10.0, 30.0, 1.5]
        assert running.metric("slipway_online_other_definition") == 1
    shop.features.materialize("shop-visits", revision=1)  # and the trained one, beside it
    with serving(tmp_path, *shop.words()) as running:
        assert running.post("/predict", {"records": [{"user": 1, "age": 30}]}).status_code == 200
        assert running.metric("slipway_online_other_definition") == 0


def test_application_code_gets_the_features_too(shop: Shop, tmp_path: Path) -> None:
    shop.features.materialize("shop-visits")
    (tmp_path / "app.py").write_text(
        "class Service:\n"
        "    takes = 'records'\n"
        "    def preprocess(self, rows):\n"
        "        return [[row['pages'], len(row['other']) + row['user'], row['basket']] for row in rows]\n"
    )
    with serving(tmp_path, *shop.words(f"--app={tmp_path}", "--entrypoint=app:Service")) as running:
        answer = running.post("/predict", {"records": [{"user": 1}]})
        assert answer.json()["predictions"][0]["Y"] == [10.0, 2.0, 1.5]
        answer = running.post("/v2/models/churn/infer", v2(user=[1]))
        assert answer.json()["outputs"][0]["data"] == [10.0, 2.0, 1.5]


def test_redis_away_at_the_start_and_in_the_middle(shop: Shop, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, password=PASSWORD)
    keys, whole = {"records": [{"user": 1, "age": 30}]}, {"records": [{"pages": 1, "age": 2, "basket": 3}]}
    with serving(tmp_path, *shop.words(), SLIPWAY_ONLINE_STORE=server.url) as running:

        def refused() -> bool:
            answer = running.post("/predict", keys)
            return answer.status_code == 503 and answer.headers["retry-after"] == "1"

        assert refused()
        assert running.post("/predict", whole).status_code == 200
        assert running.get("/v2/health/ready").status_code == 200
        try:
            server.start()
            shop.features.materialize("shop-visits", online=server.url)
            wait_for(lambda: running.post("/predict", keys).status_code == 200)
            server.freeze()  # it takes connections and does not answer
            wait_for(refused)
            assert running.post("/predict", whole).status_code == 200
            server.thaw()
            wait_for(lambda: running.post("/predict", keys).status_code == 200)
            server.stop()
            wait_for(refused)
            assert running.post("/predict", whole).status_code == 200
            server.start()  # empty
            wait_for(lambda: "materialize shop-visits" in running.post("/predict", keys).json().get("error", ""))
            shop.features.materialize("shop-visits", online=server.url)
            wait_for(lambda: running.post("/predict", keys).status_code == 200)
        finally:
            server.stop()
        assert PASSWORD not in running.log.read_text()


def test_keys_by_grpc(shop: Shop, tmp_path: Path) -> None:
    import grpc

    from slipway.serving.grpc import open_inference_pb2 as pb
    from tests.fakes.stores import unused_port

    shop.features.materialize("shop-visits")
    port = unused_port()
    user = pb.InferTensor(name="user", datatype="INT64", shape=[1], contents=pb.InferTensorContents(int64_contents=[1]))
    age = pb.InferTensor(name="age", datatype="FP64", shape=[1], contents=pb.InferTensorContents(fp64_contents=[3]))
    with serving(tmp_path, *shop.words(f"--grpc-port={port}")), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        infer = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        answer = infer(pb.ModelInferRequest(model_name="churn", inputs=[user, age]), timeout=60)
        given = list(answer.outputs[0].contents.fp32_contents) or np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()
        assert given == [10.0, 3.0, 1.5]
