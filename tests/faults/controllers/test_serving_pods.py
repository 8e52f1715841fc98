"""What of a ModelDeployment and of the installation reaches the pods: gRPC and the cache for downloads."""

from __future__ import annotations

from typing import Any

from slipway.kube.port import Object
from slipway.serving.arguments import parse
from tests.faults.controllers import worlds
from tests.faults.controllers.deployments import deployment_world, publish, revisions, settle
from tests.faults.controllers.worlds import get, model_deployment, put, ready
from tests.faults.world import World


def pod(world: World, found: Object) -> dict[str, Any]:
    spec: dict[str, Any] = revisions(world)[found["status"]["stable"]["revision"]]["spec"]["template"]["spec"]
    return spec


async def test_grpc_is_answered_on_a_port_of_the_pod_and_of_the_service() -> None:
    world = deployment_world()
    publish(1)(world)
    found = await settle(world, put(model_deployment()))
    before = found["status"]["stable"]["revision"]
    assert [port["name"] for port in get(world, "Service", "cancer")["spec"]["ports"]] == ["http"]
    assert parse(pod(world, found)["containers"][0]["args"], {}).grpc_port == 0

    found = await settle(world, put(model_deployment(grpc=True)))
    assert ready(found) == ("True", "Serving")
    assert found["status"]["stable"]["revision"] != before, "pods that answer it are other pods"
    (serve,) = pod(world, found)["containers"]
    assert parse(serve["args"], {}).grpc_port == 9000, "what the server understands"
    assert serve["ports"] == [
        {"name": "http", "containerPort": 8080, "protocol": "TCP"},
        {"name": "grpc", "containerPort": 9000, "protocol": "TCP"},
    ]
    assert get(world, "Service", "cancer")["spec"]["ports"] == [
        {"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"},
        {"name": "grpc", "port": 9000, "targetPort": "grpc", "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
    ]
    found = await settle(world, put(model_deployment()))
    assert found["status"]["stable"]["revision"] == before
    assert len(get(world, "Service", "cancer")["spec"]["ports"]) == 1


async def test_a_pods_own_cache_outlives_its_container_and_is_as_large_as_the_version() -> None:
    """An emptyDir: Pod Security restricted takes it, and a restarted container finds what was downloaded."""
    world = deployment_world()
    publish(1)(world)
    spec = pod(world, await settle(world, put(model_deployment())))
    assert spec["volumes"][0] == {"name": "cache", "emptyDir": {"sizeLimit": "65Mi"}}
    (mount,) = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "cache"]
    options = parse(spec["containers"][0]["args"], {})
    assert (str(options.cache), options.cache_size) == (mount["mountPath"], 0)


async def test_the_nodes_cache_is_for_the_namespaces_that_the_installation_names() -> None:
    told = {"node_cache_path": "/var/lib/slipway/models", "node_cache_size": "50Gi"}
    for namespaces, its in (("default,other", True), ("*", True), ("other", False)):
        settings = worlds.SETTINGS.model_copy(update={**told, "node_cache_namespaces": tuple(namespaces.split(","))})
        world = worlds.world("ModelDeployment", settings=settings)
        publish(1)(world)
        spec = pod(world, await settle(world, put(model_deployment())))
        options = parse(spec["containers"][0]["args"], {})
        mounts = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "cache"]
        if its:
            volume = {"path": "/var/lib/slipway/models", "type": "DirectoryOrCreate"}
            assert spec["volumes"][0] == {"name": "cache", "hostPath": volume}
            assert mounts == [{"name": "cache", "mountPath": str(options.cache), "subPath": "default"}], "no other namespace's"
            assert options.cache_size == 50 << 30
        else:
            assert "emptyDir" in spec["volumes"][0]


async def test_an_installation_that_gets_a_nodes_cache_restarts_no_pod() -> None:
    world = deployment_world()
    publish(1)(world)
    before = await settle(world, put(model_deployment()))
    template = revisions(world)[before["status"]["stable"]["revision"]]["spec"]["template"]
    world.settings = worlds.SETTINGS.model_copy(update={"node_cache_path": "/models", "node_cache_namespaces": ("*",)})
    after = await settle(world, lambda w: None)
    assert after["status"]["stable"]["revision"] == before["status"]["stable"]["revision"]
    assert revisions(world)[after["status"]["stable"]["revision"]]["spec"]["template"] == template
