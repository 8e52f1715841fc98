"""A canary through a real Gateway: Contour and Envoy in the cluster's network."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from local.demo.kubectl import Object, condition
from local.demo.predictions import first_answer
from local.gateway import ContourGateway
from local.progress import Progress
from tests.e2e.support import TINY, Chain, code, model_build, resource
from tests.e2e.test_rollouts import Requests, serves

PER_SECOND = 60.0
GATE = {"name": "errors", "errorRate": {"max": 0.02, "countClientErrors": True}, "window": "30s", "minRequests": 20}


def deployment(version: int) -> Object:
    rollout = {"strategy": "Canary", "interval": "5s", "steps": [{"weight": 25, "hold": "10s"}], "gates": [GATE]}
    parent = {"name": ContourGateway.name, "namespace": ContourGateway.namespace, "sectionName": "http"}
    return resource(
        "ModelDeployment",
        "exact",
        model={"name": "exact", "version": version},
        replicas=2,
        rollout=rollout,
        traffic={"gateway": {"parentRefs": [parent]}},
    )


def two_versions(chain: Chain) -> None:
    """Both at the same time."""
    chain.apply(code("tiny", train=TINY))
    for name, c in (("one", 1.0), ("two", 2.0)):
        trainer = {"entrypoint": "train:main", "params": {"C": c}}
        chain.apply(model_build(name, "tiny", model="exact", trainer=trainer))
    for name in ("one", "two"):
        chain.until_ready("modelbuild", name, "Promoted")


def weight_in_force(found: Object) -> bool:
    candidate = found.get("status", {}).get("candidate", {})
    return candidate.get("weight") == 25 and "stepSince" in candidate


def test_a_quarter_by_the_gateway_is_a_quarter_and_no_request_is_lost(chain: Chain) -> None:
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(two_versions, chain)
        gateway = ContourGateway(chain.cluster.info, Progress())
        with gateway:
            building.result()
            chain.apply(deployment(1))
            chain.until("modeldeployment", "exact", serves(1))
            first_answer(gateway.url, "exact")
            sent = Requests(gateway.url, "exact", PER_SECOND)
            thread = threading.Thread(target=sent.run)
            thread.start()
            try:
                chain.apply(deployment(2))
                chain.until("modeldeployment", "exact", weight_in_force)
                began = time.monotonic()
                time.sleep(8)
                window = [version for at, version in sent.versions if began + 0.5 <= at <= began + 8]
                found = chain.until("modeldeployment", "exact", serves(2))
                time.sleep(1)
            finally:
                sent.stop()
                thread.join()
    share = window.count("2") / len(window)
    print(f"{share:.1%} of {len(window)} requests at a weight of 25; {len(sent.answers)} in all, {len(sent.failed())} failed")
    assert len(window) >= 100, "enough to tell 25 % from the 33 % that pods would give"
    assert abs(share - 0.25) <= 4 * math.sqrt(0.25 * 0.75 / len(window))
    assert sent.failed() == []
    assert sent.versions[-1][1] == "2"
    available = condition(found, "Available")
    assert available is not None and available["status"] == "True"
