"""Monitoring of a real server under real traffic: drift, payload log and feedback on a real object store, traces, ids."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from slipway.storage import ObjectStore
from slipway.training.inputs import Inputs
from slipway.training.params import Params
from slipway.training.run import Run
from tests.fakes.serving import Served, echo_model, infer_body, serving, wait_for
from tests.fakes.store_fixtures import s3_store, seaweed
from tests.fakes.stores import ADMIN, BUCKET, Weed, credentials, unused_port

__all__ = ["s3_store", "seaweed"]
X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
ROWS = X.to_numpy()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model as training leaves it."""
    run = Run(params=Params({}), inputs=Inputs({}), output=tmp_path_factory.mktemp("output"))
    return run.save_model(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), X=X).path.parent


@pytest.fixture(scope="module")
def cancer(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("cancer"), "--model", str(trained), "--name", "cancer", "--access-log") as served:
        yield served


def send(client: httpx.Client, rows: Any, **headers: str) -> httpx.Response:
    answer = client.post("/v2/models/cancer/infer", json=infer_body(rows, "input"), headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


def window(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/v2/models/cancer/drift").json()["windows"]["5m"]
    return found


def test_shifted_inputs_are_told_and_the_same_ones_are_not(trained: Path, tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(len(ROWS))
    with (
        serving(tmp_path, "--model", str(trained), "--name", "cancer") as served,
        httpx.Client(base_url=served.url, timeout=60) as client,
    ):
        for at in order:
            send(client, ROWS[at : at + 1])
        same = window(client)
        assert same["rows"] == len(ROWS)
        assert same["psiMax"] < 0.1
        shifted = ROWS.copy()
        shifted[:, 0] *= 1.4  # mean radius
        for at in order:
            send(client, shifted[at : at + 1])
        drifted = window(client)
        assert drifted["inputs"][0]["name"] == "mean radius"
        assert drifted["psiMax"] == drifted["inputs"][0]["psi"] > 0.2
        others = [one["psi"] for one in drifted["inputs"][1:]]
        assert max(others) < 0.1
        parsed = {family.name: family for family in text_string_to_metric_families(client.get("/metrics").text)}
        told = {s.labels["feature"]: s.value for s in parsed["slipway_drift_psi"].samples if s.labels["window"] == "5m"}
        assert told["mean radius"] == pytest.approx(drifted["psiMax"], abs=1e-4)
        mix = {s.labels["class"]: s.value for s in parsed["slipway_predictions"].samples}
        assert sum(mix.values()) == 2 * len(ROWS)


def test_every_family_is_named_and_typed_as_prometheus_wants_it(cancer: Served) -> None:
    with httpx.Client(base_url=cancer.url, timeout=60) as client:
        send(client, ROWS[:200])
        client.post("/v2/models/cancer/infer", content=b"{")
        families = list(text_string_to_metric_families(client.get("/metrics").text))
    own = [family for family in families if family.name.startswith("slipway_")]
    assert len(own) > 15
    documented = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    for family in own:
        assert family.documentation, family.name
        assert not family.name.endswith("_total")
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert f"`{name}`" in documented, name
        if family.type == "histogram":
            assert any(sample.labels.get("le") == "+Inf" for sample in family.samples), family.name


def test_requests_answers_and_truth_meet_in_the_object_store(
    trained: Path, tmp_path: Path, s3_store: ObjectStore, seaweed: Weed
) -> None:
    words = ("--model", str(trained), "--name", "cancer", "--payload-log", s3_store.uri, "--payload-seconds", "0.5")
    where = {**credentials(ADMIN), "AWS_ENDPOINT_URL_S3": seaweed.endpoint, "AWS_REGION": "us-east-1"}
    answers: dict[str, list[int]] = {}
    with serving(tmp_path, *words, **where) as served, httpx.Client(base_url=served.url, timeout=60) as client:
        for at in range(0, 60, 2):
            answer = send(client, ROWS[at : at + 2])
            answers[answer.headers["x-request-id"]] = answer.json()["outputs"][0]["data"]
        truth = {request: [int(Y[2 * n]), int(Y[2 * n + 1])] for n, request in enumerate(answers)}
        body = {"feedback": [{"id": request, "truth": values} for request, values in truth.items()]}
        assert client.post("/feedback", json=body).json() == {"accepted": 60, "joined": 60}
        right = sum(a == b for request in truth for a, b in zip(truth[request], answers[request], strict=True))
        wait_for(lambda: served.metric('slipway_log_stored_rows_total{log="payload",model="cancer",version="local"}') == 60)
        assert served.metric('slipway_feedback_total{model="cancer",outcome="right",version="local"}') == right
        last = send(client, ROWS[100:103])
        assert served.stop() == 0, "what was not yet stored is, before the end"
    payloads, feedback = (_tables(s3_store, prefix) for prefix in ("payloads/cancer/local/", "feedback/cancer/local/"))
    assert payloads.num_rows == 63
    assert payloads["request_id"].to_pylist().count(last.headers["x-request-id"]) == 3
    np.testing.assert_allclose(payloads["input.mean radius"].to_numpy()[:2], ROWS[:2, 0], rtol=1e-6)
    joined = payloads.drop_columns(["output.probabilities"]).join(
        feedback, keys=["request_id", "row"], join_type="inner", right_suffix=".told"
    )
    assert joined.num_rows == 60
    agree = [
        str(label) == told for label, told in zip(joined["output.label"].to_pylist(), joined["truth"].to_pylist(), strict=True)
    ]
    assert sum(agree) == right


def _tables(store: ObjectStore, prefix: str) -> pa.Table:
    return pa.concat_tables([pq.read_table(io.BytesIO(store.get(info.key).data)) for info in store.list(prefix)])


def test_a_dead_store_costs_rows_and_no_answer(trained: Path, tmp_path: Path) -> None:
    words = ("--model", str(trained), "--name", "cancer", "--payload-log", f"s3://{BUCKET}/x", "--payload-seconds", "0.1")
    where = {**credentials(ADMIN), "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{unused_port()}", "AWS_REGION": "us-east-1"}
    with (
        serving(tmp_path, *words, "--max-body=67108864", **where) as served,
        httpx.Client(base_url=served.url, timeout=60) as client,
    ):
        rows = np.tile(ROWS, (17, 1))[:9000]
        for _ in range(7):
            send(client, rows)
        assert send(client, ROWS[:1]).status_code == 200
        assert served.metric('slipway_log_waiting_rows{log="payload",model="cancer",version="local"}') <= 50_000
        name = 'slipway_log_dropped_rows_total{log="payload",model="cancer",reason="full",version="local"}'
        assert served.metric(name) >= 9000


HOSTILE = [
    b'a"}\t{"level":"error"',
    b"\x1b[2Jboo",
    b"x" * 129,
    b"two words",
    b"",
    b"\xff\xfe",
]


@pytest.mark.parametrize("given", HOSTILE, ids=range(len(HOSTILE)))
def test_an_id_that_could_lie_in_a_log_is_replaced(cancer: Served, given: bytes) -> None:
    before = len(cancer.lines())
    with socket.create_connection(("127.0.0.1", cancer.port), timeout=60) as wire:
        wire.sendall(b"GET /v2/models/cancer HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: " + given + b"\r\n\r\n")
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    head = answer.partition(b"\r\n\r\n")[0]
    if not head.startswith(b"HTTP/1.1 200"):
        assert head.startswith(b"HTTP/1.1 400")  # not even a header
        return
    (echoed,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"x-request-id:")]
    new = echoed.partition(b":")[2].strip().decode()
    assert new.isalnum()
    wait_for(lambda: any(line.get("request_id") == new for line in cancer.lines()[before:]))
    for line in cancer.log.read_text().splitlines():
        json.loads(line)


def test_the_id_is_the_clients_own_or_that_of_its_trace(cancer: Served) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with httpx.Client(base_url=cancer.url, timeout=60) as client:
        parent = f"00-{trace}-00f067aa0ba902b7-01"
        assert send(client, ROWS[:1], **{"x-request-id": "mine/1:2"}).headers["x-request-id"] == "mine/1:2"
        assert send(client, ROWS[:1], traceparent=parent).headers["x-request-id"] == trace
        both = send(client, ROWS[:1], traceparent=parent, **{"x-request-id": "mine"})
        assert both.headers["x-request-id"] == "mine"
        assert len({send(client, ROWS[:1]).headers["x-request-id"] for _ in range(5)}) == 5


class Collector:
    """Takes OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
                for resource in request.resource_spans:
                    for scope in resource.scope_spans:
                        spans.extend(scope.spans)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


def test_requests_are_spans_below_their_callers(tmp_path: Path) -> None:
    collector = Collector()
    model = echo_model(tmp_path / "echo.onnx")
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with serving(tmp_path, "--model", str(model), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as served:
        served.post("/v2/models/echo/infer", infer_body([[1, 2, 3]]), headers={"traceparent": f"00-{trace}-{parent}-01"})
        served.post("/v2/models/echo/infer", {"inputs": []})
        served.get("/v2/health/ready")
        assert served.stop() == 0
    collector.server.shutdown()
    first, second = sorted(collector.spans, key=lambda span: span.start_time_unix_nano)
    assert (first.trace_id.hex(), first.parent_span_id.hex(), first.name) == (trace, parent, "POST v2_infer")
    attributes = {pair.key: pair.value for pair in first.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["slipway.model"].string_value == "echo"
    assert first.end_time_unix_nano > first.start_time_unix_nano
    assert second.trace_id != first.trace_id
    assert {pair.key: pair.value for pair in second.attributes}["http.response.status_code"].int_value == 400
