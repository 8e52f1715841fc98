"""What the scenarios over ModelDeployments share: versions, aliases, and what users look at."""

from __future__ import annotations

from slipway.kube.port import Object
from slipway.registry.records import VersionDraft
from tests.faults.controllers import worlds
from tests.faults.controllers.worlds import get
from tests.faults.world import Operator, World

MODEL = "default/cancer"
REVISION = "slipway.dev/revision"


def deployment_world() -> World:
    return worlds.world("ModelDeployment")


def publish(number: int, alias: str | None = "champion"):
    """A version made by somebody, and the alias moved to it."""

    def action(world: World) -> None:
        registry = world.registry()
        if registry.latest(MODEL) < number:
            stored = registry.blobs.put_bytes(b"model %d" % number, "application/octet-stream", path="model.onnx")
            build_id = "sha256:" + f"{number:064d}"
            registry.register(VersionDraft(model=MODEL, build_id=build_id, reason="test", files=(stored,), format="onnx"))
        if alias:
            registry.move_alias(MODEL, alias, number, by="ann", reason="test")

    action.__name__ = f"publish {number}"
    return action


async def settle(world: World, *actions) -> Object:
    for action in actions:
        action(world)
        await Operator(world).run_to_rest()
    return get(world, "ModelDeployment", "cancer")


def selected(world: World) -> str:
    return get(world, "Service", "cancer")["spec"]["selector"][REVISION]


def revisions(world: World) -> dict[str, Object]:
    return {d["metadata"]["labels"][REVISION]: d for d in world.api.all("Deployment")}
