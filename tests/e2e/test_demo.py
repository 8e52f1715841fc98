"""`make demo` itself, in a namespace of its own: told once, and told again."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import pytest

from local import settings
from local.current import CurrentProvider
from local.demo import Story
from local.demo.baseline import operator_metrics
from local.demo.kubectl import Cluster
from local.demo.timeline import ANSWERED, PROMOTED, SERVING_READY, TRAINING_ENDED
from local.errors import PreflightError
from local.progress import Progress
from local.providers import provider
from local.settings import child_environment
from local.shell import run
from tests.e2e.support import PATIENCE, Chain

KINDS = "modelbuilds,appbuilds,modeldeployments,deployments,services,jobs,configmaps"
WRITES_EACH = 8
"""Goal of writes to the API server for each resource, from its apply to the first answer."""


def state(chain: Chain) -> dict[str, Any]:
    """Generations and uids of everything that the chain consists of."""
    found = json.loads(chain.cluster.kubectl("get", KINDS, "-n", chain.namespace, "-o", "json"))["items"]
    return {f"{o['kind']}/{o['metadata']['name']}": (o["metadata"]["uid"], o["metadata"].get("generation")) for o in found}


def test_the_cluster_of_the_kube_context_will_do(cluster: Cluster) -> None:
    """The bare cluster, reached as a stranger's: by kubeconfig and variables alone, nothing else."""
    environ = {"XDG_CACHE_HOME": str(settings.read().cache.parent), **cluster.info.environment()}
    current = CurrentProvider(settings.read(environ), Progress(quiet=True), partial(run, env=child_environment(**environ)))
    info = current.up()
    assert (info.context, info.registry, info.s3_endpoint) == ("slipway", cluster.info.registry, cluster.info.s3_endpoint)
    deadline = time.monotonic() + PATIENCE
    while not (seen := operator_metrics(Cluster(info))) and time.monotonic() < deadline:
        time.sleep(0.5)  # the test before this one may have killed the operator
    assert seen["process_resident_memory_bytes"] > 0, "what it describes can be worked with"
    with pytest.raises(PreflightError, match="AWS_SECRET_ACCESS_KEY"):
        CurrentProvider(settings.read(environ | {"AWS_SECRET_ACCESS_KEY": ""}), Progress(quiet=True), current._run).up()


@pytest.mark.alone
def test_the_story_is_told_with_no_request_lost_and_told_again_changes_nothing(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(quiet=True)
    story = Story(provider("bare", progress=progress), progress, namespace=chain.namespace)
    assert story.tell() == 0
    said = capsys.readouterr().out
    facts = story.facts
    assert facts.failed == [] and set(facts.by_version) == {"1", "2"}, "both versions answered, and every request was answered"
    assert facts.rows == 114
    assert "version 2" in said and "make down" in said
    assert f"sha256:{facts.stable['digest'].removeprefix('sha256:')}" in said
    assert facts.first is not None
    passed = [step.name for step in facts.first.steps]
    assert passed[-1] == ANSWERED and {TRAINING_ENDED, PROMOTED, SERVING_READY} <= set(passed)
    assert 0 < facts.first.api_writes <= WRITES_EACH * facts.first.resources

    before = state(chain)
    again = Story(provider("bare", progress=progress), progress, namespace=chain.namespace)
    assert again.tell() == 0
    assert state(chain) == before
    assert again.facts.first is None and again.facts.stable == facts.stable
