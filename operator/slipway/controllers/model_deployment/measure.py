"""Reads what the gates of a roll-out judge: the counters of pods, or what Prometheus says of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from slipway.api.common import LABEL_REVISION
from slipway.api.model_deployment import ModelDeployment, Revision
from slipway.api.rollout import RolloutGate
from slipway.controllers.model_deployment.children import PORT
from slipway.controllers.model_deployment.gates import Measured, Readings, Side
from slipway.controllers.model_deployment.judging import is_due, subject
from slipway.controllers.model_deployment.program import program_for
from slipway.controllers.model_deployment.promql import queries
from slipway.controllers.model_deployment.samples import MAX_PODS, PodSample, parse
from slipway.controllers.shared.objects import child_name, selector
from slipway.kube.port import Object
from slipway.kube.resources import POD
from slipway.reconcile.deps import Deps


async def readings(deps: Deps, deployment: ModelDeployment, now: datetime) -> Readings | None:
    """None when no gate is due. What cannot be read is left out. Raises the errors of the API server."""
    program = program_for(deployment)
    found = subject(deployment, program, now)
    if found is None or not is_due(found, program, now):
        return None
    stable = deployment.status.stable if deployment.status else None
    judged = await _side(deps, deployment, found.revision, found.gates)
    copied = () if deps.settings.prometheus_url else tuple(gate for gate in found.gates if gate.agreement is not None)
    compared = (*(gate for gate in found.gates if gate.compare is not None), *copied)
    if not compared or stable is None or found.watched:
        return Readings(judged)
    return Readings(judged, await _side(deps, deployment, stable, compared, candidate=found.revision.revision))


async def _side(
    deps: Deps, deployment: ModelDeployment, revision: Revision, gates: tuple[RolloutGate, ...], *, candidate: str = ""
) -> Side:
    from_prometheus = gates if deps.settings.prometheus_url else tuple(gate for gate in gates if gate.promql is not None)
    samples: dict[str, PodSample] = {}
    if len(from_prometheus) < len(gates):
        samples = await _samples(deps, deployment, revision, candidate)
    names = [gate.name for gate in from_prometheus]
    found = await asyncio.gather(*(_ask(deps, deployment, revision, gate) for gate in from_prometheus))
    return Side(samples, revision.marks, dict(zip(names, found, strict=True)))


async def _samples(deps: Deps, deployment: ModelDeployment, revision: Revision, candidate: str) -> dict[str, PodSample]:
    pods = await _pods(deps, deployment, revision)
    urls = {pod["metadata"]["name"]: f"{_url(pod)}/metrics" for pod in _readable(pods)}
    texts = await deps.scraper.pages(urls.values())
    parsed = {name: parse(texts[url], candidate) for name, url in urls.items() if url in texts}
    return {name: sample for name, sample in parsed.items() if sample is not None}


async def copying(deps: Deps, deployment: ModelDeployment) -> tuple[str, ...]:
    """URLs of the pods that copy requests to a candidate, or stop doing so. Raises the errors of the API server."""
    status = deployment.status
    if not program_for(deployment).shadow or status is None or status.candidate is None or status.stable is None:
        return ()
    pods = await _pods(deps, deployment, status.stable)
    return tuple(_url(pod) for pod in _answering(pods))


async def _pods(deps: Deps, deployment: ModelDeployment, revision: Revision) -> list[Object]:
    labels = selector(deployment) | {LABEL_REVISION: revision.revision}
    return await deps.kube.list(POD, deployment.metadata.namespace, labels)


def _answering(pods: Iterable[Object]) -> list[Object]:
    ready = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and pod.get("status", {}).get("podIP")]
    return sorted(ready, key=lambda pod: str(pod["metadata"]["name"]))


def _readable(pods: Iterable[Object]) -> list[Object]:
    """Pods that answer, by name; of very many the first few."""
    return _answering(pods)[:MAX_PODS]


def _url(pod: Object) -> str:
    address = str(pod["status"]["podIP"])
    return f"http://{f'[{address}]' if ':' in address else address}:{PORT}"


async def _ask(deps: Deps, deployment: ModelDeployment, revision: Revision, gate: RolloutGate) -> Measured:
    name = child_name(deployment.metadata.name, revision.revision)
    value_query, requests_query = queries(gate, deployment.metadata.namespace, deployment.metadata.name, name, revision.revision)
    value, problem = await deps.scraper.query(value_query)
    if value is None or not requests_query:
        return Measured(value, 0, problem)
    requests, problem = await deps.scraper.query(requests_query)
    return Measured(value if requests is not None else None, int(requests or 0), problem)
