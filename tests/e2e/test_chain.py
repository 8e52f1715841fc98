"""The whole chain as a user runs it, and what it survives."""

from __future__ import annotations

import grpc

from local.demo.kubectl import Object, condition, is_ready
from local.demo.predictions import Traffic, service_url
from slipway.serving.grpc import open_inference_pb2 as pb
from tests.e2e.support import TINY, Chain, code, model_build, poll, ready_reason, resource


def tiny(**spec: object) -> Object:
    return resource("ModelDeployment", "tiny", model={"name": "tiny", "alias": "champion"}, replicas=2, **spec)


def serve_tiny(chain: Chain, deployment: Object, **params: object) -> None:
    chain.apply(code("tiny", train=TINY))
    chain.apply(model_build("tiny", "tiny", trainer={"entrypoint": "train:main", "params": params}))
    chain.apply(deployment)


def label_by_grpc(chain: Chain, row: list[float]) -> int:
    """What the Service's gRPC port answers."""
    service = chain.cluster.get("service", "tiny", chain.namespace)
    assert service is not None
    port = next(port["port"] for port in service["spec"]["ports"] if port["name"] == "grpc")
    contents = pb.InferTensorContents(fp32_contents=row)
    tensor = pb.InferTensor(name="input", datatype="FP32", shape=[1, len(row)], contents=contents)
    with grpc.insecure_channel(f"{service['spec']['clusterIP']}:{port}") as channel:
        ask = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        answer = ask(pb.ModelInferRequest(model_name="tiny", inputs=[tensor]), timeout=10, wait_for_ready=True)
    label = [output.name for output in answer.outputs].index("label")
    given = answer.outputs[label].contents.int64_contents or [int.from_bytes(answer.raw_output_contents[label], "little")]
    return int(given[0])


def test_a_bad_candidate_is_held_while_the_stable_one_answers(chain: Chain) -> None:
    serve_tiny(chain, tiny(grpc=True), C=1.0)
    chain.until("modeldeployment", "tiny", is_ready)
    with (
        service_url(chain.cluster, "tiny", chain.namespace) as url,
        Traffic(url, "tiny", [0.1, 0.2, 0.3]) as traffic,
    ):
        broken = {"containers": [{"name": "serve", "args": ["--model=nowhere/nothing:1"]}]}
        assert [label_by_grpc(chain, [2.0, 2.0, 2.0]), label_by_grpc(chain, [-2.0, -2.0, -2.0])] == [1, 0]
        chain.apply(tiny(grpc=True, podTemplate={"spec": broken}, progressDeadlineSeconds=10))
        held = chain.until("modeldeployment", "tiny", lambda found: "held" in found["status"])
        assert ready_reason(held) == "CandidateFailed"
        available = condition(held, "Available")
        assert available is not None and available["status"] == "True"
        chain.apply(tiny(grpc=True))
        healed = chain.until("modeldeployment", "tiny", is_ready)
        assert "held" not in healed["status"]
    assert traffic.sent > 20
    assert traffic.failed == []


def test_two_deletions_in_the_middle_leave_nothing(chain: Chain) -> None:
    serve_tiny(chain, tiny(), C=2.0)
    poll("a serving pod is there", lambda: chain.names("pods", "app.kubernetes.io/component=serving"))
    chain.delete("modeldeployment", "tiny")
    chain.delete("modelbuild", "tiny")
    poll("everything is gone", lambda: not chain.names("deployments,services,jobs,pods"))
