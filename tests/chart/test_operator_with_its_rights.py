"""The real operator process with the chart's settings and service account on a real API server whose audit log shows
every request: all kinds live and die, and nothing is forbidden to it that it asks for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from slipway.kube.client import KubeClient
from slipway.kube.port import Conflict, Object, Rejected
from slipway.kube.resources import (
    APP_BUILD,
    DEPLOYMENT,
    FEATURE_VIEW,
    HORIZONTAL_POD_AUTOSCALER,
    HTTP_ROUTE,
    JOB,
    LEASE,
    MODEL_BUILD,
    MODEL_DEPLOYMENT,
    POD_DISRUPTION_BUDGET,
    SCALED_OBJECT,
    SERVICE,
)
from slipway.registry.registry import Registry
from tests.chart import rights
from tests.chart.helm import NAMESPACE, ROOT, Helm, environment
from tests.chart.rights import LEASE as LEASES
from tests.chart.rights import OPERATOR, Right
from tests.faults.controllers import worlds
from tests.integration.api.server import Server, running

TEAM = "team-a"
NOWHERE = {"prometheus": {"url": "http://127.0.0.1:9"}}
"""With it, requests per second are KEDA's. No gate asks it anything here."""
MODES = {"everywhere": NOWHERE, "in one namespace": NOWHERE | {"watchNamespaces": [TEAM]}}
POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
"""
ANY_ROUTE = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": f"{HTTP_ROUTE.plural}.{HTTP_ROUTE.group}",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    },
    "spec": {
        "group": HTTP_ROUTE.group,
        "names": {"kind": HTTP_ROUTE.kind, "plural": HTTP_ROUTE.plural},
        "scope": "Namespaced",
        "versions": [
            {
                "name": HTTP_ROUTE.version,
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""The kind of Gateway API without its schema: rights are looked at here, and no gateway is about."""
KEDA = ROOT / "tests" / "data" / "keda" / "keda.sh_scaledobjects.yaml"
NEEDS_A_POD = {Right("get", "core/pods/log")}
"""Logs of killed pods: there is no kubelet here to read them from."""


@contextmanager
def audited(folder: Path) -> Iterator[tuple[Server, Path]]:
    """A server that logs all requests, and looks at who may block an owner's deletion."""
    policy, log = folder / "policy.yaml", folder / "audit.log"
    policy.write_text(POLICY)
    flags = (
        f"--audit-policy-file={policy}",
        f"--audit-log-path={log}",
        "--audit-log-mode=blocking",
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    )
    with running(*flags) as server:
        for name in (NAMESPACE, TEAM):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            assert server.apply(namespace, dry=False).ok
        assert server.apply(ANY_ROUTE, dry=False, namespace="").ok
        assert server.apply(yaml.safe_load(KEDA.read_text()), dry=False, namespace="").ok
        yield server, log


def kubeconfig_of_the_operator(server: Server, folder: Path) -> Path:
    """The admin's, with the service account's token in place of his certificate."""
    token = server.kubectl("create", "token", "slipway", "-n", NAMESPACE)
    assert token.ok, token.words
    config = yaml.safe_load(server.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": token.out.strip()}
    path = folder / "operator.conf"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def operating(helm: Helm, server: Server, folder: Path, mode: str) -> Iterator[None]:
    """``python -m slipway`` with the environment that the chart gives it, apart from the store, which is a folder."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    given = environment(helm.template({**MODES[mode], "operator": {"aliasPollSeconds": 1, "resyncSeconds": 2}}))
    env = {
        **os.environ,
        **given,
        "PYTHONPATH": str(ROOT / "operator"),
        "KUBECONFIG": str(kubeconfig_of_the_operator(server, folder)),
        "SLIPWAY_NAMESPACE": NAMESPACE,
        "SLIPWAY_REGISTRY": f"file://{folder}/registry",
        "SLIPWAY_TRAINING_IMAGE": worlds.SETTINGS.training_image,
        "SLIPWAY_SERVING_IMAGE": worlds.SETTINGS.serving_image,
        "SLIPWAY_BIND_ADDRESS": "127.0.0.1",
        "SLIPWAY_HEALTH_PORT": str(port),
    }
    log = folder / "operator.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "-m", "slipway"], env=env, stderr=sink, cwd=ROOT)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    except BaseException:
        sys.stderr.write(log.read_text())
        raise
    finally:
        process.kill()
        process.wait()


class Team:
    """What a team does, and what its pods would do."""

    def __init__(self, kube: KubeClient, folder: Path) -> None:
        self.kube = kube
        self.registry = Registry.open(f"file://{folder}/registry")
        self.world = SimpleNamespace(registry=lambda: self.registry, clock=lambda: datetime.now(UTC))

    async def put(self, manifest: Object) -> None:
        moved = {**manifest, "metadata": {**manifest["metadata"], "namespace": TEAM}}
        await self.kube.apply(moved, field_manager="kubectl")

    async def jobs(self, kind: str) -> list[Object]:
        return await self.kube.list(JOB, TEAM, {"slipway.dev/kind": kind})

    async def finish_jobs(self) -> None:
        """Every Job's pod does its work and ends well."""
        for job in await self.kube.list(JOB, TEAM):
            if job.get("status", {}).get("succeeded"):
                continue
            kind = job["metadata"]["labels"]["slipway.dev/kind"]
            await asyncio.to_thread(worlds.train if kind == "ModelBuild" else worlds.push, self.world, job)
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            conditions = [{"type": t, "status": "True", "lastTransitionTime": now} for t in ("SuccessCriteriaMet", "Complete")]
            start = job["metadata"]["creationTimestamp"]
            await self._status(job, {"startTime": start, "completionTime": now, "succeeded": 1, "conditions": conditions})

    async def start_deployments(self) -> None:
        """All pods of all Deployments answer."""
        for each in await self.kube.list(DEPLOYMENT, TEAM):
            count = each["spec"]["replicas"]
            counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), count)
            await self._status(each, {"observedGeneration": each["metadata"]["generation"], **counts})

    async def _status(self, live: Object, status: Object) -> None:
        metadata = {name: live["metadata"][name] for name in ("name", "namespace")}
        body = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "status": status}
        try:
            await self.kube.apply_status(body, field_manager="cluster")
        except Conflict:
            return
        except Rejected as error:
            if error.code != 404:  # superseded, and deleted, since it was listed
                raise

    async def ready(self, resource: object, name: str) -> bool:
        found = await self.kube.get(resource, TEAM, name)  # type: ignore[arg-type]
        conditions = (found or {}).get("status", {}).get("conditions", ())
        assert found is not None
        current = found["status"].get("observedGeneration") == found["metadata"]["generation"] if conditions else False
        return current and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def until(condition: Callable[[], Awaitable[bool]], what: str, deadline: float = 60.0) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    while not await condition():
        assert loop.time() < end, f"not within {deadline:g} s: {what}"
        await asyncio.sleep(0.1)


async def live_and_die(team: Team) -> None:
    """Everything that the kinds can have written for them: made, changed in the middle, replaced, deleted."""
    await team.kube.create({**worlds.config_map("code", worlds.CODE), "metadata": {"name": "code", "namespace": TEAM}})
    await team.put(worlds.model_build(inputs=[]))
    await team.put(worlds.app_build())
    await team.put(worlds.model_deployment())
    await team.put(worlds.feature_view())

    async def training() -> bool:
        return len(await team.jobs("ModelBuild")) == 1

    await until(training, "the first attempt is started")
    (first,) = await team.jobs("ModelBuild")
    await team.put(worlds.model_build(inputs=[], trainer={"entrypoint": "train:main", "params": {"C": 0.5}}))

    async def superseded() -> bool:
        return [job["metadata"]["name"] for job in await team.jobs("ModelBuild")] not in ([], [first["metadata"]["name"]])

    await until(superseded, "the attempt that nobody wants any more is replaced")

    async def all_ready() -> bool:
        await team.finish_jobs()
        await team.start_deployments()
        kinds = ((MODEL_BUILD, "cancer"), (APP_BUILD, "app"), (MODEL_DEPLOYMENT, "cancer"), (FEATURE_VIEW, "visits"))
        return all([await team.ready(*each) for each in kinds])

    await until(all_ready, "all kinds are ready")
    revision = {d["metadata"]["name"] for d in await team.kube.list(DEPLOYMENT, TEAM)}
    await team.put(worlds.model_build(inputs=[], trainer={"entrypoint": "train:main", "params": {"C": 0.7}}))

    async def rolled_over() -> bool:
        now = {d["metadata"]["name"] for d in await team.kube.list(DEPLOYMENT, TEAM)}
        return await all_ready() and len(now) == 1 and now != revision

    await until(rolled_over, "the next version has replaced the one before, and its Deployment is deleted")
    await scale(team)
    await route(team)
    service = await team.kube.get(SERVICE, TEAM, "cancer")
    assert service is not None
    for resource, name in ((MODEL_DEPLOYMENT, "cancer"), (APP_BUILD, "app"), (MODEL_BUILD, "cancer"), (FEATURE_VIEW, "visits")):
        await team.kube.delete(resource, TEAM, name)

    async def unpinned() -> bool:
        return await asyncio.to_thread(lambda: list(team.registry.pins())) == []

    await until(unpinned, "the deployment's pin goes with it")


async def scale(team: Team) -> None:
    """KEDA's autoscaler and a disruption budget come, the cluster's own takes over, and all go when spec asks for none."""

    async def present() -> set[str]:
        await team.start_deployments()
        kinds = (SCALED_OBJECT, HORIZONTAL_POD_AUTOSCALER, POD_DISRUPTION_BUDGET)
        return {kind.kind for kind in kinds if await team.kube.get(kind, TEAM, "cancer")}

    limits = {"min": 2, "max": 4}
    for spec, wanted in (
        ({"autoscaling": {**limits, "targetRequestsPerSecond": 500}}, {SCALED_OBJECT.kind, POD_DISRUPTION_BUDGET.kind}),
        ({"autoscaling": {**limits, "targetCPUPercent": 50}}, {HORIZONTAL_POD_AUTOSCALER.kind, POD_DISRUPTION_BUDGET.kind}),
        ({"replicas": 1}, set()),
    ):
        await team.put(worlds.model_deployment(resources={"requests": {"cpu": "100m"}}, **spec))

        async def as_wanted(wanted: set[str] = wanted) -> bool:
            return await present() == wanted

        await until(as_wanted, f"of autoscalers and budgets there are {sorted(wanted)}")


async def route(team: Team) -> None:
    """Requests come through a gateway, and then no more."""
    await team.put(worlds.model_deployment(traffic={"gateway": {"parentRefs": [{"name": "edge"}]}}))

    async def routed() -> bool:
        return await team.kube.get(HTTP_ROUTE, TEAM, "cancer") is not None

    await until(routed, "the HTTPRoute is there")
    await team.put(worlds.model_deployment())

    async def unrouted() -> bool:
        await team.start_deployments()
        return not await routed()

    await until(unrouted, "a route that spec asks for no more is deleted")


def requests_of_the_operator(log: Path) -> list[Object]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["user"]["username"] == OPERATOR]


def right_of(request: Object) -> Right | None:
    """What was asked for; None for what is no resource (the health of the server, its version)."""
    ref = request.get("objectRef")
    if not ref or "resource" not in ref:
        return None
    sub = f"/{ref['subresource']}" if "subresource" in ref else ""
    return Right(request["verb"], f"{ref.get('apiGroup', 'core')}/{ref['resource']}{sub}")


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_that_it_asks_for_is_forbidden(helm: Helm, tmp_path: Path, mode: str) -> None:
    with audited(tmp_path) as (server, log):
        objects = [o for o in helm.template(MODES[mode]) if "Role" in o["kind"] or o["kind"] == "ServiceAccount"]
        made = server.apply(*objects, dry=False, namespace="")
        assert made.ok, made.words
        async with KubeClient.connect(kubeconfig=server.kubeconfig) as kube:
            with operating(helm, server, tmp_path, mode):
                await live_and_die(Team(kube, tmp_path))
            lease = await kube.get(LEASE, NAMESPACE, "slipway-operator")
            assert lease is not None
            assert not lease["spec"].get("holderIdentity"), "the lease is given back at the end"
    requests = requests_of_the_operator(log)
    refused = [f"{right_of(r)}: {r['responseStatus'].get('message', '')}" for r in requests if r["responseStatus"]["code"] == 403]
    assert refused == []
    used = {right for right in map(right_of, requests) if right is not None}
    granted = rights.granted(helm.template(MODES[mode]))
    # an apply of what is not there is a patch in the log, and asks for create as well; finalizers are asked for by admission
    by_another_name = {r for r in granted if r.verb == "create" and Right("patch", r.resource) in used}
    by_admission = {r for r in granted if r.resource.endswith("/finalizers")}
    assert used <= granted
    assert granted - used - by_another_name - by_admission - NEEDS_A_POD == set(), "granted, and a whole life needs it not"
    assert Right("update", LEASES) in used
