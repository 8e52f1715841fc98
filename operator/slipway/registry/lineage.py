"""Where a version came from and where it went: a small graph, up to data and code, down to what serves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from slipway.registry.records import AliasMove, InputRecord, Pin, VersionRecord

NodeKind = Literal["version", "data", "features", "code", "image", "build", "alias", "deployment", "app"]
Relation = Literal["readBy", "ranIn", "trainedBy", "produced", "pointsAt", "servedBy", "packagedWith"]


@dataclass(frozen=True)
class LineageNode:
    """`id` is unique in the graph: ``<kind>:<uri or name>``; `digest` where the thing has one; `facts` are for people."""

    id: str
    kind: NodeKind
    name: str
    digest: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LineageEdge:
    """From what was first to what followed from it: data → build → version → deployment."""

    source: str
    target: str
    relation: Relation


@dataclass(frozen=True)
class Lineage:
    """The graph around `root`, the id of the version's node."""

    root: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]

    def up(self) -> tuple[LineageNode, ...]:
        """What the version was made of, nearest first."""
        return tuple(self._walk("up"))

    def down(self) -> tuple[LineageNode, ...]:
        """What came of it, nearest first."""
        return tuple(self._walk("down"))

    def node(self, node_id: str) -> LineageNode:
        """The node of that id. Raises KeyError."""
        return {node.id: node for node in self.nodes}[node_id]

    def _walk(self, way: Literal["up", "down"]) -> Iterator[LineageNode]:
        known = {node.id: node for node in self.nodes}
        seen, line = {self.root}, [self.root]
        while line:
            here = line.pop(0)
            for edge in self.edges:
                near, far = (edge.target, edge.source) if way == "up" else (edge.source, edge.target)
                if near == here and far not in seen:
                    seen.add(far)
                    line.append(far)
                    yield known[far]


def lineage_of(record: VersionRecord, aliases: Iterable[AliasMove], pins: Iterable[Pin]) -> Lineage:
    """The lineage of a version, from its record, the aliases of its model, and all pins. Pure."""
    graph = _Graph(record)
    graph.trained_on(record)
    for move in aliases:
        if move.version == record.version:
            facts = {"since": move.at.isoformat(), "by": move.by, "reason": move.reason}
            graph.follows(
                LineageNode(f"alias:{record.model}@{move.alias}", "alias", f"{record.model}@{move.alias}", facts=facts),
                "pointsAt",
            )
    for pin in pins:
        if graph.ref in pin.versions:
            graph.pinned(pin)
    return Lineage(graph.version.id, tuple(graph.nodes.values()), tuple(dict.fromkeys(graph.edges)))


def _feature_facts(entry: InputRecord) -> dict[str, str]:
    """As-of time, definitions and table versions of an input that was made of feature views."""
    if entry.features is None:
        return {}
    views = [
        f"{used.view} revision {used.revision} ({used.definition.removeprefix('sha256:')[:12]})"
        + "".join(f", table version {used.table_version}" for _ in range(used.table_version is not None))
        + "".join(f", {table} version {version}" for table, version in sorted(used.tables.items()))
        for used in entry.features.views
    ]
    return {"as of": entry.features.as_of, "views": "; ".join(views), "entities": entry.features.entities or ""}


class _Graph:
    def __init__(self, record: VersionRecord) -> None:
        self.ref = f"{record.model}:{record.version}"
        self.version = LineageNode(
            f"version:{self.ref}", "version", self.ref, record.digest, {"created": record.created_at.isoformat(), "format": record.format}
        )  # fmt: skip
        took = "" if record.attempt == 1 else f"attempt {record.attempt}"
        facts = {"reason": record.reason, "by": record.builder, "attempt": took}
        self.build = LineageNode(f"build:{record.build_id}", "build", record.builder, record.build_id, _filled(facts))
        self.nodes = {node.id: node for node in (self.version, self.build)}
        self.edges = [LineageEdge(self.build.id, self.version.id, "produced")]

    def trained_on(self, record: VersionRecord) -> None:
        for entry in record.inputs:
            kind: NodeKind = "features" if entry.uri.startswith(("features:", "feature://")) else "data"
            facts = {"as": entry.name, "rows": str(entry.rows) if entry.rows is not None else "", **_feature_facts(entry)}
            self._before(
                LineageNode(f"{kind}:{entry.uri}#{entry.digest}", kind, entry.uri, entry.digest, _filled(facts)), "readBy"
            )
        if (source := record.source) is not None:
            facts = {"commit": source.commit or "", "kind": source.kind}
            self._before(
                LineageNode(f"code:{source.uri}#{source.digest}", "code", source.uri, source.digest, _filled(facts)), "trainedBy"
            )
        env = record.environment
        if env.image:
            name, _, digest = env.image.partition("@")
            facts = {"python": env.python or ""}
            self._before(LineageNode(f"image:{env.image}", "image", name, digest or None, _filled(facts)), "ranIn")

    def pinned(self, pin: Pin) -> None:
        kind: NodeKind = "app" if pin.kind == "AppBuild" else "deployment"
        name = f"{pin.namespace}/{pin.name}"
        node = LineageNode(f"{pin.kind}:{name}", kind, name, facts={"kind": pin.kind, "since": pin.at.isoformat()})
        self.follows(node, "servedBy" if kind == "deployment" else "packagedWith")
        for image in pin.images:
            path, _, digest = image.partition("@")
            app = LineageNode(f"image:{image}", "image", path, digest or None)
            self.nodes[app.id] = app
            self.edges.append(LineageEdge(node.id, app.id, "ranIn"))

    def follows(self, node: LineageNode, relation: Relation) -> None:
        self.nodes[node.id] = node
        self.edges.append(LineageEdge(self.version.id, node.id, relation))

    def _before(self, node: LineageNode, relation: Relation) -> None:
        self.nodes[node.id] = node
        self.edges.append(LineageEdge(node.id, self.build.id, relation))


def _filled(facts: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in facts.items() if value}
