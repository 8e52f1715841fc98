"""The chain as one picture: which deployment serves which version, who built that, and in which application. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipway.api.app_build import AppBuild, AppBuildRun
from slipway.api.common import InvalidResource, Resource
from slipway.api.conditions import AVAILABLE, READY, STALLED, Condition, find
from slipway.api.feature_view import FeatureView, FeatureViewStatus
from slipway.api.model_build import ModelBuild
from slipway.api.model_build_status import Build, ModelBuildStatus
from slipway.api.model_deployment import Held, ModelDeployment, ModelDeploymentStatus, Revision
from slipway.cli.output import age, duration, number, short, short_image
from slipway.kube.port import Object


@dataclass(frozen=True)
class Node:
    """One line of the picture: `mark` is ``good``, ``bad``, ``busy`` or nothing; `detail` follows the title."""

    title: str
    detail: str = ""
    mark: str = ""
    children: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Chain:
    """A deployment with what it is made of, or a build that no deployment uses. The same as JSON in `data`."""

    node: Node
    data: dict[str, Any]


@dataclass(frozen=True)
class World:
    """All resources that were read. `broken` holds what could not be understood, in words, by kind and name."""

    deployments: tuple[ModelDeployment, ...] = ()
    model_builds: tuple[ModelBuild, ...] = ()
    app_builds: tuple[AppBuild, ...] = ()
    feature_views: tuple[FeatureView, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)


def understand(
    deployments: Iterable[Object],
    model_builds: Iterable[Object],
    app_builds: Iterable[Object],
    feature_views: Iterable[Object] = (),
) -> World:
    """The resources, typed; those that do not hold what their schema demands are told of, and do no harm."""
    broken: dict[str, str] = {}

    def parse(kind: type[Any], objects: Iterable[Object]) -> tuple[Any, ...]:
        good = []
        for obj in objects:
            try:
                good.append(kind.parse(obj))
            except InvalidResource as error:
                meta = obj.get("metadata", {})
                broken[f"{kind.KIND} {meta.get('namespace', '')}/{meta.get('name', '')}"] = str(error)
        return tuple(sorted(good, key=lambda r: (r.metadata.namespace, r.metadata.name)))

    return World(
        parse(ModelDeployment, deployments),
        parse(ModelBuild, model_builds),
        parse(AppBuild, app_builds),
        parse(FeatureView, feature_views),
        broken,
    )


def chains(world: World, name: str | None, now: datetime, *, namespaced: bool = False) -> list[Chain]:
    """One chain for each deployment, then the builds that belong to none, then feature views; with `name`, only those that have a resource of
    this name in them. `namespaced`: titles name the namespace."""
    made, used = [], set()
    for deployment in world.deployments:
        builds = [b for b in world.model_builds if b.model == "/".join(deployment.model_name())]
        apps = [a for a in world.app_builds if _is_app_of(a, deployment)]
        used |= {_key(resource) for resource in (*builds, *apps)}
        if name is None or name in {r.metadata.name for r in (deployment, *builds, *apps)}:
            made.append(_deployment_chain(deployment, builds, apps, now, namespaced))
    for build in world.model_builds:
        if _key(build) not in used and name in (None, build.metadata.name):
            made.append(Chain(_model_build(build, now, namespaced), {"modelBuilds": [_data(build)]}))
    for app in world.app_builds:
        if _key(app) not in used and name in (None, app.metadata.name):
            made.append(Chain(_app_build(app, now, namespaced), {"appBuild": _data(app)}))
    for view in world.feature_views:
        if name in (None, view.metadata.name):
            made.append(Chain(_feature_view(view, now, namespaced), {"featureView": _data(view)}))
    for what, words in sorted(world.broken.items()):
        if name is None or what.endswith(f"/{name}"):
            made.append(Chain(Node(what, f"not understood: {words}", "bad"), {"broken": {"name": what, "message": words}}))
    return made


def _deployment_chain(
    deployment: ModelDeployment, builds: Sequence[ModelBuild], apps: Sequence[AppBuild], now: datetime, namespaced: bool
) -> Chain:
    spec, status = deployment.spec, deployment.status or ModelDeploymentStatus()
    followed = f"{spec.model.name}@{spec.model.alias}" if spec.model.alias else f"{spec.model.name}:{spec.model.version}"
    model = Node(
        f"model {followed}",
        "" if builds else "no ModelBuild makes it here",
        children=tuple(_model_build(build, now, namespaced) for build in builds),
    )
    children = [
        *([_revision("stable", status.stable, spec.replicas, now)] if status.stable else []),
        *([_revision("candidate", status.candidate, spec.replicas, now)] if status.candidate else []),
        *([_held(status.held, now)] if status.held else []),
        model,
    ]
    if spec.app is not None:
        missing = "there is no such AppBuild" if spec.app.name and not apps else ""
        children.append(
            Node(
                f"app {spec.app.name or short_image(spec.app.image or '')}",
                missing,
                "bad" if missing else "",
                tuple(_app_build(app, now, namespaced) for app in apps),
            )
        )
    headline = _headline(deployment, status.conditions, status.url)
    node = Node(_title(deployment, namespaced), headline, _mark(status.conditions), tuple(children))
    data = {
        "modelDeployment": _data(deployment),
        "modelBuilds": [_data(build) for build in builds],
        "appBuild": _data(apps[0]) if apps else None,
    }
    return Chain(node, data)


def _revision(role: str, revision: Revision, replicas: int, now: datetime) -> Node:
    ready = revision.ready_replicas or 0
    parts = [
        f"version {revision.version}",
        short(revision.digest),
        f"{ready}/{replicas} ready",
        f"since {age(revision.since, now)}" if revision.since else "",
        f"revision {revision.revision}",
    ]
    image = (Node("image", short_image(revision.image)),) if revision.image else ()
    good = ready >= replicas
    return Node(role, "  ".join(filter(None, parts)), "good" if good and role == "stable" else "busy", image)


def _held(held: Held, now: datetime) -> Node:
    since = f" (since {age(held.since, now)})" if held.since else ""
    return Node("held", f"version {held.version}  {held.reason}: {held.message}{since}", "bad")


def _model_build(build: ModelBuild, now: datetime, namespaced: bool) -> Node:
    status = build.status or ModelBuildStatus()
    children = [_run(status.build, now)] if status.build else []
    if status.version is not None:
        version = status.version
        metrics = ", ".join(f"{name} {value}" for name, value in list(version.metrics.items())[:4])
        more = " …" if len(version.metrics) > 4 else ""
        gates = tuple(Node("gate", gate.message or gate.metric, "good" if gate.passed else "bad") for gate in version.gates)
        promoted = f"promoted to {version.promoted_to}" if version.promoted_to else "not promoted"
        detail = "  ".join(filter(None, [short(version.digest), promoted, metrics + more]))
        children.append(Node(f"version {version.number}", detail, "", gates))
    return Node(_title(build, namespaced), _headline(build, status.conditions), _mark(status.conditions), tuple(children))


def _app_build(app: AppBuild, now: datetime, namespaced: bool) -> Node:
    status = app.status
    conditions = status.conditions if status else ()
    children = []
    if status is not None and status.build is not None:
        children.append(_run(status.build, now))
    if status is not None and status.image:
        children.append(Node("image", short_image(status.image)))
    return Node(_title(app, namespaced), _headline(app, conditions), _mark(conditions), tuple(children))


def _feature_view(view: FeatureView, now: datetime, namespaced: bool) -> Node:
    status = view.status or FeatureViewStatus()
    children = []
    if status.revision is not None:
        children.append(Node(f"revision {status.revision.number}", short(status.revision.digest)))
    if status.table is not None:
        rows, fresh = status.table.rows, status.freshness
        parts = [
            f"version {status.table.version}",
            f"{rows:,} rows" if rows is not None else f"rows not known: {status.table.message or ''}",
            f"newest event {age(fresh.last_event_time, now)} ago" if fresh and fresh.last_event_time else "",
            f"written {age(fresh.last_ingested, now)} ago" if fresh and fresh.last_ingested else "",
        ]
        children.append(Node("table", "  ".join(filter(None, parts))))
    if status.quality is not None:
        lacking = ", ".join(f"{column.name} {column.nulls}" for column in status.quality.columns[:4])
        children.append(Node("quality", f"complete {status.quality.complete}" + (f"  nulls: {lacking}" if lacking else "")))
    return Node(_title(view, namespaced), _headline(view, status.conditions), _mark(status.conditions), tuple(children))


def _run(run: Build | AppBuildRun, now: datetime) -> Node:
    """The current or last build in one line."""
    outcome = run.outcome or "Pending"
    if run.outcome == "Running":
        took = f"for {age(run.started_at, now)}" if run.started_at else ""
    else:
        took = f"in {duration((run.finished_at - run.started_at).total_seconds())}" if run.finished_at and run.started_at else ""
    parts = [
        f"{outcome} {took}".strip(),
        run.reason or "",
        f"attempt {run.attempt}" if (run.attempt or 0) > 1 else "",
        f"{number(run.bytes_sent / (1 << 20))} MiB sent" if isinstance(run, AppBuildRun) and run.bytes_sent else "",
        f"{run.failure.reason}: {run.failure.message}" if run.failure else "",
    ]
    mark = {"Succeeded": "good", "Failed": "bad"}.get(outcome, "busy")
    return Node("build", "  ".join(filter(None, parts)), mark)


def _headline(resource: Resource, conditions: Sequence[Condition], url: str | None = None) -> str:
    """The conditions in words: what Ready says, and what Available says when that is something else."""
    ready, available = find(conditions, READY), find(conditions, AVAILABLE)
    if ready is None:
        return "not seen by the operator yet"
    parts = [f"{'Ready' if ready.status == 'True' else 'Not ready'}: {ready.reason}"]
    if ready.status != "True" and ready.message:
        parts.append(f"({ready.message})")
    if available is not None and available.status != "True" and available.reason != ready.reason:
        parts.append(f"Not available: {available.reason}")
    observed = ready.observed_generation
    if observed is not None and observed < resource.metadata.generation:
        parts.append("(the newest spec has not been seen yet)")
    return "  ".join([*parts, *([url] if url else [])])


def _mark(conditions: Sequence[Condition]) -> str:
    ready = find(conditions, READY)
    if ready is not None and ready.status == "True":
        return "good"
    return "bad" if find(conditions, STALLED) is not None else "busy"


def _title(resource: Resource, namespaced: bool) -> str:
    place = f"{resource.metadata.namespace}/" if namespaced else ""
    return f"{resource.KIND} {place}{resource.metadata.name}"


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource.KIND, resource.metadata.namespace, resource.metadata.name


def _is_app_of(app: AppBuild, deployment: ModelDeployment) -> bool:
    wanted = deployment.spec.app
    same = app.metadata.namespace == deployment.metadata.namespace
    return same and wanted is not None and wanted.name == app.metadata.name


def _data(resource: ModelDeployment | ModelBuild | AppBuild | FeatureView) -> dict[str, Any]:
    """A resource for programs: who it is, and its status as the cluster has it."""
    meta = resource.metadata
    status = resource.status.to_dict() if resource.status else {}
    made: dict[str, Any] = {"namespace": meta.namespace, "name": meta.name, "generation": meta.generation, "status": status}
    if isinstance(resource, ModelBuild):
        made["model"] = resource.model
    elif isinstance(resource, ModelDeployment):
        made["model"] = {**resource.spec.model.to_dict(), "name": "/".join(resource.model_name())}
    return made
