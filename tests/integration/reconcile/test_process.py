"""The whole operator process on a real API server: kopf, queue, driver, lease and probes together."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from slipway.kube.client import KubeClient
from slipway.kube.port import Conflict, Object
from slipway.kube.resources import CONFIG_MAP, JOB, LEASE, MODEL_BUILD, SERVICE
from tests.integration.reconcile.conftest import Cluster, Operator, Start, until


@pytest.fixture
async def namespace(client: KubeClient) -> AsyncIterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name


def build(namespace: str, name: str = "cancer") -> Object:
    metadata = {"name": name, "namespace": namespace}
    spec = {"source": {"configMap": {"name": "code"}}, "trainer": {"entrypoint": "train:main"}}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "ModelBuild", "metadata": metadata, "spec": spec}


def code(namespace: str, says: str = "hello") -> Object:
    metadata = {"name": "code", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"says": says}}


async def reason(client: KubeClient, namespace: str, name: str = "cancer") -> str:
    found = await client.get(MODEL_BUILD, namespace, name)
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return f"{conditions[0]['reason']}: {conditions[0]['message']}" if conditions else ""


async def says(client: KubeClient, namespace: str) -> str:
    service = await client.get(SERVICE, namespace, "cancer")
    return str(service["spec"]["selector"]["says"]) if service else ""


async def lease_holder(client: KubeClient) -> str:
    lease = await client.get(LEASE, "default", "slipway-operator")
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""


async def test_kinds_that_come_later_are_waited_for(bare_cluster: Cluster, operator: Start) -> None:
    await asyncio.to_thread(bare_cluster.uninstall)
    async with operator() as process:

        async def waiting() -> bool:
            status, text = await process.get("/readyz")
            return status == 503 and "modelbuilds.slipway.dev" in text

        async def ready() -> bool:
            return (await process.get("/readyz"))[0] == 200

        await until(waiting, "readyz names the missing kinds")
        assert (await process.get("/livez"))[0] == 200, "waiting is no reason to be restarted"
        await asyncio.to_thread(bare_cluster.install)
        await until(ready, "readyz is well once they are there")


async def test_a_resource_is_served_repaired_and_healed(
    cluster: Cluster, client: KubeClient, namespace: str, operator: Start
) -> None:
    async with operator():
        await client.apply(build(namespace), field_manager="user")

        async def stalled() -> bool:
            return (await reason(client, namespace)).startswith("SourceMissing")

        await until(stalled, "what is missing is told")
        await client.create(code(namespace))

        async def done() -> bool:
            return await reason(client, namespace) == "Registered: says hello"

        await until(done, "it heals when what was missing appears")
        job = await client.get(JOB, namespace, "cancer")
        assert job is not None
        await client.delete(JOB, namespace, "cancer", uid=job["metadata"]["uid"])

        async def job_again() -> bool:
            found = await client.get(JOB, namespace, "cancer")
            return found is not None and found["metadata"]["uid"] != job["metadata"]["uid"]

        await until(job_again, "a deleted child is made again")
        await edit_service(client, namespace)

        async def repaired() -> bool:
            return await says(client, namespace) == "hello"

        await until(repaired, "an edited child is repaired")
        await client.apply(code(namespace, says="goodbye"), field_manager="user")

        async def follows() -> bool:
            return await says(client, namespace) == "goodbye"

        await until(follows, "a change of what is referred to is seen")
        ours = ("-n", namespace, "get", "events", "--field-selector", "involvedObject.kind=ModelBuild", "-o", "name")
        events = await asyncio.to_thread(cluster.run, *ours)
        assert events.count("event/cancer.") == 2, "one for each change"
        await client.delete(MODEL_BUILD, namespace, "cancer")

        async def gone() -> bool:
            return await client.get(JOB, namespace, "cancer") is None and await says(client, namespace) == ""

        # the cluster's collector hears of new kinds every half a minute only
        await until(gone, "children go with the resource", deadline=90.0)


async def edit_service(client: KubeClient, namespace: str) -> None:
    while True:
        service = await client.get(SERVICE, namespace, "cancer")
        assert service is not None
        service["spec"]["selector"]["says"] = "edited"
        try:
            await client.replace(service)
        except Conflict:
            continue
        return


async def test_when_all_is_done_nothing_is_written(cluster: Cluster, client: KubeClient, namespace: str, operator: Start) -> None:
    await client.create(code(namespace))
    await client.create(build(namespace))
    async with operator() as process:

        async def done() -> bool:
            return (await reason(client, namespace)).startswith("Registered")

        await until(done, "it is done")
        looks = 'controller_runtime_reconcile_total{controller="ModelBuild"'

        async def rounds() -> bool:
            return await process.metric(looks) >= before + 2

        # events of what was written last may still be on their way
        before = await process.metric(looks)
        await until(rounds, "two resyncs pass")
        written, before = await writes(process), await process.metric(looks)
        await until(rounds, "two more pass")
        assert await writes(process) == written
        assert written > 0


async def writes(process: Operator) -> float:
    """Requests that may change something, without those for the lease."""
    methods = ("PATCH", "DELETE")
    codes = ("200", "201")
    samples = [f'rest_client_requests_total{{code="{c}",method="{m}"}}' for c in codes for m in methods]
    return sum([await process.metric(sample) for sample in samples])


async def test_a_second_operator_takes_over_at_once_when_the_first_ends(
    cluster: Cluster, client: KubeClient, operator: Start
) -> None:
    async def led() -> bool:
        return await lease_holder(client) != ""

    async with operator() as first:
        await until(led, "the first one leads")
        leader = await lease_holder(client)
        async with operator() as second:

            async def ready() -> bool:
                return (await second.get("/readyz"))[0] == 200

            await until(ready, "the second one stands by, and is ready to")
            assert await lease_holder(client) == leader
            assert await first.end() == 0

            async def taken() -> bool:
                return await lease_holder(client) not in ("", leader)

            await until(taken, "the second one leads", deadline=10.0)
    assert await lease_holder(client) == "", "given back"


async def test_a_stolen_lease_ends_the_process_hard(cluster: Cluster, client: KubeClient, operator: Start) -> None:
    async def led() -> bool:
        return await lease_holder(client) != ""

    thief = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "slipway-operator", "namespace": "default"},
        "spec": {"holderIdentity": "thief", "leaseDurationSeconds": 1},
    }
    async with operator() as process:
        await until(led, "it leads")
        await client.apply(thief, field_manager="thief")
        async with asyncio.timeout(20):
            assert await process.process.wait() == 1
    assert "leaving at once" in process.log.read_text()
    await client.apply({**thief, "spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}, field_manager="thief")


async def test_an_operator_without_a_cluster_says_so(operator: Start) -> None:
    async with operator(KUBECONFIG="/no/such/file") as process:
        async with asyncio.timeout(20):
            assert await process.process.wait() != 0
    assert "/no/such/file" in process.log.read_text()


async def test_an_absent_config_map_is_read_by_name_alone(client: KubeClient) -> None:
    """The chart grants get on ConfigMaps, not list: the operator must not need more."""
    assert await client.get(CONFIG_MAP, "default", "no-such-map") is None
