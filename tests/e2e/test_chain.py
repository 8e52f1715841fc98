"""The whole chain as a user runs it, and what it survives."""

from __future__ import annotations

from local.demo.kubectl import condition, is_ready
from local.demo.predictions import Traffic, service_url
from tests.e2e.support import TINY, Chain, code, model_build, poll, ready_reason, resource


def serve_tiny(chain: Chain, **params: object) -> None:
    chain.apply(code("tiny", train=TINY))
    chain.apply(model_build("tiny", "tiny", trainer={"entrypoint": "train:main", "params": params}))
    chain.apply(resource("ModelDeployment", "tiny", model={"name": "tiny", "alias": "champion"}, replicas=2))


def test_a_bad_candidate_is_held_while_the_stable_one_answers(chain: Chain) -> None:
    serve_tiny(chain, C=1.0)
    chain.until("modeldeployment", "tiny", is_ready)
    with (
        service_url(chain.cluster, "tiny", chain.namespace) as url,
        Traffic(url, "tiny", [0.1, 0.2, 0.3]) as traffic,
    ):
        broken = {"containers": [{"name": "serve", "args": ["--model=nowhere/nothing:1"]}]}
        chain.apply(
            resource(
                "ModelDeployment",
                "tiny",
                model={"name": "tiny", "alias": "champion"},
                replicas=2,
                podTemplate={"spec": broken},
                progressDeadlineSeconds=10,
            )
        )
        held = chain.until("modeldeployment", "tiny", lambda found: "held" in found["status"])
        assert ready_reason(held) == "CandidateFailed"
        available = condition(held, "Available")
        assert available is not None and available["status"] == "True"
        chain.apply(resource("ModelDeployment", "tiny", model={"name": "tiny", "alias": "champion"}, replicas=2))
        healed = chain.until("modeldeployment", "tiny", is_ready)
        assert "held" not in healed["status"]
    assert traffic.sent > 20
    assert traffic.failed == []


def test_two_deletions_in_the_middle_leave_nothing(chain: Chain) -> None:
    serve_tiny(chain, C=2.0)
    poll("a serving pod is there", lambda: chain.names("pods", "app.kubernetes.io/component=serving"))
    chain.delete("modeldeployment", "tiny")
    chain.delete("modelbuild", "tiny")
    poll("everything is gone", lambda: not chain.names("deployments,services,jobs,pods"))
