"""What we ask of KEDA, taken by a real API server under KEDA's own definition."""

from __future__ import annotations

from pathlib import Path

from tests.faults.controllers.deployments import publish, settle
from tests.faults.controllers.test_scaling import SCALED, keda_world
from tests.faults.controllers.worlds import get, put
from tests.integration.api.server import Server

DEFINITION = Path(__file__).parents[2] / "data/keda/keda.sh_scaledobjects.yaml"


async def test_the_scaled_object_is_as_keda_defines_it(server: Server) -> None:
    made = server.kubectl("apply", "--server-side", "-f", str(DEFINITION))
    assert made.ok, made.words
    known = server.kubectl("wait", "--for=condition=Established", "crd", "scaledobjects.keda.sh", "--timeout=60s")
    assert known.ok, known.words
    world = keda_world()
    publish(1)(world)
    await settle(world, put(SCALED))
    found = get(world, "ScaledObject", "cancer")
    manifest = {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "cancer"}}
    answer = server.apply(manifest)
    assert answer.ok, answer.words
    assert answer.json["spec"] == found["spec"], "no field is dropped, none is added: nothing for the next look to differ from"
    wrong = {**manifest, "spec": {**manifest["spec"], "maxReplicas": 3}}
    assert not server.apply(wrong).ok
