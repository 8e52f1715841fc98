"""Two roll-outs beside each other on the real cluster: exact weights by Contour and Envoy, and copies of requests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from local.demo.kubectl import Object
from local.demo.predictions import first_answer, service_url
from local.gateway import ContourGateway
from local.progress import Progress
from tests.e2e.support import TINY, Chain, code, model_build, poll, resource
from tests.e2e.test_rollouts import Requests, serves

PARENT = {"name": ContourGateway.name, "namespace": ContourGateway.namespace, "sectionName": "http"}
ERRORS = {"name": "errors", "errorRate": {"max": 0.02, "countClientErrors": True}, "window": "30s", "minRequests": 20}
SAME = {"name": "same", "agreement": {"min": 0.9}, "window": "30s", "minRequests": 10}


def exact(version: int) -> Object:
    rollout = {"strategy": "Canary", "interval": "5s", "steps": [{"weight": 25, "hold": "5m"}], "gates": [ERRORS]}
    return deployment("exact", version, rollout=rollout, traffic={"gateway": {"parentRefs": [PARENT]}})


def copied(version: int) -> Object:
    rollout = {"strategy": "Shadow", "interval": "5s", "steps": [{"weight": 50, "hold": "5s"}], "gates": [SAME, ERRORS]}
    return deployment("copied", version, rollout=rollout)


def deployment(name: str, version: int, **more: Any) -> Object:
    replicas = 2 if name == "exact" else 1
    return resource("ModelDeployment", name, model={"name": "tiny", "version": version}, replicas=replicas, **more)


def two_versions(chain: Chain) -> None:
    """Both at the same time."""
    chain.apply(code("tiny", train=TINY))
    for name, c in (("one", 1.0), ("two", 2.0)):
        trainer = {"entrypoint": "train:main", "params": {"C": c}}
        chain.apply(model_build(name, "tiny", model="tiny", trainer=trainer))
    for name in ("one", "two"):
        chain.until_ready("modelbuild", name, "Promoted")


@contextmanager
def asked(url: str, per_second: float) -> Iterator[Requests]:
    first_answer(url, "tiny")
    sent = Requests(url, "tiny", per_second)
    thread = threading.Thread(target=sent.run)
    thread.start()
    try:
        yield sent
    finally:
        sent.stop()
        thread.join()


def weight_in_force(found: Object) -> bool:
    candidate = found.get("status", {}).get("candidate", {})
    return candidate.get("weight") == 25 and "stepSince" in candidate


def route_weights(chain: Chain) -> list[int]:
    route = chain.get("httproute", "exact")
    assert route is not None
    return [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]


def gates_passed(chain: Chain, name: str) -> str:
    """What the events say of gates that passed."""
    words = ("--field-selector", f"involvedObject.name={name},reason=GatePassed", "-o", "jsonpath={.items[*].message}")
    return chain.cluster.kubectl("get", "events", "-n", chain.namespace, *words)


def answers(sent: Requests, since: float, count: int) -> list[str]:
    """The versions that answered; none before there are `count` of them."""
    found = [version for at, version in sent.versions if at >= since]
    return found if len(found) >= count else []


def test_a_quarter_is_a_quarter_copies_agree_and_no_request_is_lost(chain: Chain) -> None:
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(two_versions, chain)
        gateway = ContourGateway(chain.cluster.info, Progress())
        with gateway:
            building.result()
            for made in (exact(1), copied(1)):
                chain.apply(made)
            for name in ("exact", "copied"):
                chain.until("modeldeployment", name, serves(1))
            with (
                service_url(chain.cluster, "copied", chain.namespace) as service,
                asked(service, 10.0) as shadowed,
                asked(gateway.url, 60.0) as split,
            ):
                for made in (exact(2), copied(2)):
                    chain.apply(made)
                chain.until("modeldeployment", "exact", weight_in_force)
                split_so = route_weights(chain)
                began = time.monotonic() + 0.5
                window = poll("enough answers to say something", lambda: answers(split, began, 300))
                chain.slipway("rollout", "promote", "exact")
                for name in ("exact", "copied"):
                    chain.until("modeldeployment", name, serves(2))
                time.sleep(1)
            passed = gates_passed(chain, "copied")
    share = window.count("2") / len(window)
    print(f"{share:.1%} of {len(window)} requests at a weight of 25; {len(split.answers)} in all, {len(split.failed())} failed")
    print(f"{passed}; {len(shadowed.answers)} requests, {len(shadowed.failed())} failed")
    assert split_so == [75, 25]
    assert abs(share - 0.25) <= 4 * math.sqrt(0.25 * 0.75 / len(window))
    assert "gate same: agreement" in passed
    both = shadowed.last_of("1") - min(at for at, version in shadowed.versions if version == "2")
    assert both < 4, "users changed from one version to the other at once; the shadow had been asked for 5 s before that"
    for sent in (split, shadowed):
        assert sent.failed() == []
        assert sent.versions[-1][1] == "2"
