"""The chain while the store, the image registry or the operator are away."""

from __future__ import annotations

import time

import pytest

from local.demo.baseline import api_writes, operator_metrics
from local.demo.kubectl import is_ready
from tests.e2e.support import (
    TINY,
    Chain,
    away,
    code,
    kill_operator,
    model_build,
    poll,
    ready_reason,
    resource,
)

pytestmark = pytest.mark.alone

SLOW = TINY.replace(
    "    def main(run):\n", "    import time\n\n    def main(run):\n        run.info('epoch 1')\n        time.sleep(4)\n"
)


def app_build(chain: Chain, name: str) -> dict[str, object]:
    repository = f"{chain.cluster.info.registry_in_cluster}/{chain.namespace}/{name}"
    spec = {"source": {"configMap": {"name": "app"}}, "entrypoint": "app:Service", "output": {"repository": repository}}
    return resource("AppBuild", name, **spec, retry={"limit": 5, "backoffSeconds": 1})


def log(chain: Chain, name: str) -> str:
    selector = f"slipway.dev/name={name}"
    return chain.cluster.kubectl("logs", "-n", chain.namespace, "-l", selector, "--tail=-1", check=False)


def test_a_store_that_is_away_at_the_start_is_waited_for(chain: Chain) -> None:
    chain.apply(code("tiny", train=TINY))
    with away(chain.cluster, "seaweedfs"):
        chain.apply(model_build("early", "tiny"))
        chain.until_ready("modelbuild", "early", "StoreUnavailable")
    done = chain.until_ready("modelbuild", "early", "Promoted")
    assert done["status"]["version"]["number"] == 1


def test_a_store_that_goes_away_during_training_costs_no_attempt(chain: Chain) -> None:
    chain.apply(code("slow", train=SLOW))
    chain.apply(model_build("slow", "slow"))
    poll("it trains", lambda: "epoch 1" in log(chain, "slow"))
    with away(chain.cluster, "seaweedfs"):
        poll("the pod has trained and finds no store", lambda: "trying again" in log(chain, "slow"))
    done = chain.until_ready("modelbuild", "slow", "Promoted")
    assert done["status"]["build"]["attempt"] == 1
    assert done["status"]["version"]["number"] == 1


def test_an_image_registry_that_is_away_at_the_push_is_waited_for(chain: Chain) -> None:
    chain.apply(code("app", app="class Service:\n    def postprocess(self, outputs):\n        return outputs\n"))
    chain.apply(app_build(chain, "api"))
    poll("the Job is there", lambda: chain.names("jobs"))
    with away(chain.cluster, "registry"):
        poll("the pod has ended or waits", lambda: "registry" in log(chain, "api").lower() or finished(chain))
    chain.until_ready("appbuild", "api", "Pushed")


def finished(chain: Chain) -> bool:
    phases = chain.cluster.kubectl("get", "pods", "-n", chain.namespace, "-o", "jsonpath={.items[*].status.phase}").split()
    return bool(phases) and set(phases) <= {"Succeeded", "Failed"}


def test_an_operator_killed_in_build_push_and_rollout_changes_nothing_of_the_end(chain: Chain) -> None:
    chain.apply(code("tiny", train=TINY))
    chain.apply(code("app", app="class Service:\n    def postprocess(self, outputs):\n        return outputs\n"))
    chain.apply(model_build("tiny", "tiny"))
    chain.apply(app_build(chain, "api"))
    model = {"name": "tiny", "alias": "champion"}
    chain.apply(resource("ModelDeployment", "tiny", model=model, app={"name": "api"}, replicas=2))
    poll("both Jobs are there", lambda: len(chain.names("jobs")) == 2)
    kill_operator(chain.cluster)
    chain.until("modeldeployment", "tiny", is_ready)
    chain.apply(model_build("tiny", "tiny", trainer={"entrypoint": "train:main", "params": {"C": 0.5}}))
    chain.until("modeldeployment", "tiny", lambda found: "candidate" in found["status"])
    kill_operator(chain.cluster)
    found = chain.until("modeldeployment", "tiny", lambda f: is_ready(f) and f["status"]["stable"]["version"] == 2)
    assert ready_reason(found) == "Serving"
    poll("one Deployment is left", lambda: len(chain.names("deployments")) == 1)
    assert len(chain.names("jobs")) == 3, "no build was made twice"


def test_the_same_manifests_again_write_nothing(chain: Chain) -> None:
    chain.apply(code("tiny", train=TINY))
    manifests = (
        model_build("tiny", "tiny"),
        resource("ModelDeployment", "tiny", model={"name": "tiny", "alias": "champion"}),
    )
    for manifest in manifests:
        chain.apply(manifest)
    chain.until("modelbuild", "tiny", is_ready)
    chain.until("modeldeployment", "tiny", is_ready)

    def looks() -> float:
        found = operator_metrics(chain.cluster)
        return sum(value for name, value in found.items() if name.startswith("controller_runtime_reconcile_total"))

    def looked_again(seen: float) -> bool:
        words = ("-n", chain.namespace, f"note={time.monotonic()}", "--overwrite")
        for kind in ("modelbuild", "modeldeployment"):
            chain.cluster.kubectl("annotate", kind, "tiny", *words)
        return looks() > seen + 3

    def at_rest() -> bool:
        writes, seen = api_writes(operator_metrics(chain.cluster)), looks()
        poll("it looks again", lambda: looked_again(seen))
        return api_writes(operator_metrics(chain.cluster)) == writes

    poll("it comes to rest", at_rest)
    writes, seen = api_writes(operator_metrics(chain.cluster)), looks()
    for manifest in manifests:
        chain.apply(manifest)
    poll("the operator has looked", lambda: looked_again(seen))
    assert api_writes(operator_metrics(chain.cluster)) == writes
    assert len(chain.names("jobs")) == 1
    assert len(chain.names("deployments")) == 1
